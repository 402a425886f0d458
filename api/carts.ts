/** Users' carts. */
import { z } from "zod"
import {
  addItem,
  Cart,
  createCart,
  deleteCart,
  getCart,
  lockCart,
  MAX_LINES,
  MAX_QUANTITY,
  type Refusal,
  removeItem,
  setItem,
} from "./cart.ts"
import { digestTag } from "./etag.ts"
import { Id } from "./input.ts"
import { type Input, type Operation, operation, type Outcome } from "./operation.ts"
import { Problem } from "./problems.ts"
import type { Query } from "./transaction.ts"

const Quantity = z
  .int({ error: "must be a whole number" })
  .min(1, { error: "must be at least 1" })
  .max(MAX_QUANTITY, { error: `must be at most ${MAX_QUANTITY}` })

const NewCart = z.strictObject({ userId: Id })
const NewItem = z.strictObject({ productId: Id, quantity: Quantity })
const ItemChange = z.strictObject({ quantity: Quantity })

const noCart = (cart: number) => new Problem("cart-not-found", `there is no cart ${cart}`)
const shown = (cart: Cart): Outcome => ({ status: 200, body: cart, etag: digestTag(cart) })

function outcomeOf(answer: Cart | Refusal, cart: number, product: number): Outcome {
  switch (answer) {
    case "no cart":
      return noCart(cart)
    case "no product":
      return new Problem("unknown-product", `there is no product ${product}`)
    case "no item":
      return new Problem("cart-item-not-found", `product ${product} is not in cart ${cart}`)
    case "too many":
      return new Problem("quantity-too-large", `a cart holds at most ${MAX_QUANTITY} of one product`)
    case "full":
      return new Problem("cart-full", `a cart holds at most ${MAX_LINES} different products`)
  }
  return shown(answer)
}

const current = (query: Query, { id }: { id: number }) => lockCart(query, id)
const one = { path: "/carts/{id}", ids: { id: "cart-not-found" as const }, current }
const item = {
  path: "/carts/{id}/items/{productId}",
  ids: { id: "cart-not-found" as const, productId: "cart-item-not-found" as const },
  current,
  answer: { status: 200 as const, schema: Cart },
}

const setQuantity = async (
  query: Query,
  { ids, body }: Input<"id" | "productId", undefined, z.infer<typeof ItemChange>>,
): Promise<Outcome> =>
  outcomeOf(await setItem(query, ids.id, ids.productId, body.quantity), ids.id, ids.productId)

/** The operations under /carts. */
export const carts: Operation[] = [
  operation({
    method: "post",
    path: "/carts",
    name: "createCart",
    summary: "Makes an empty cart for a user.",
    body: NewCart,
    answer: { status: 201, schema: Cart },
    problems: ["unknown-user"],
    run: async (query, { body: { userId } }) => {
      const cart = await createCart(query, userId)
      if (!cart) return new Problem("unknown-user", `there is no user ${userId}`)
      return { status: 201, body: cart, etag: digestTag(cart), location: `/carts/${cart.id}` }
    },
  }),
  operation({
    ...one,
    method: "get",
    name: "getCart",
    summary: "Shows a cart with its totals, by the prices of the moment.",
    answer: { status: 200, schema: Cart },
    run: async (query, { ids: { id } }) => {
      const cart = await getCart(query, id)
      return cart ? shown(cart) : noCart(id)
    },
  }),
  operation({
    ...one,
    method: "delete",
    name: "deleteCart",
    summary: "Deletes a cart with what is in it.",
    answer: { status: 204 },
    run: async (query, { ids: { id } }) => ((await deleteCart(query, id)) ? { status: 204 } : noCart(id)),
  }),
  operation({
    method: "post",
    path: "/carts/{id}/items",
    name: "addCartItem",
    summary: "Adds to what the cart holds of a product.",
    ids: { id: "cart-not-found" },
    current,
    body: NewItem,
    answer: { status: 200, schema: Cart },
    problems: ["unknown-product", "quantity-too-large", "cart-full"],
    run: async (query, { ids: { id }, body: { productId, quantity } }) =>
      outcomeOf(await addItem(query, id, productId, quantity), id, productId),
  }),
  operation({
    ...item,
    method: "put",
    name: "setCartItem",
    summary: "Makes the quantity of what the cart holds exactly this.",
    body: ItemChange,
    run: setQuantity,
  }),
  operation({
    ...item,
    method: "patch",
    name: "changeCartItem",
    summary: "The same as PUT.",
    body: ItemChange,
    run: setQuantity,
  }),
  operation({
    ...item,
    method: "delete",
    name: "removeCartItem",
    summary: "Takes a product out of the cart.",
    run: async (query, { ids: { id, productId } }) =>
      outcomeOf(await removeItem(query, id, productId), id, productId),
  }),
]
