/** Users' carts. */
import { Router } from "express"
import { z } from "zod"
import {
  addItem,
  type Cart,
  createCart,
  deleteCart,
  getCart,
  MAX_LINES,
  MAX_QUANTITY,
  type Refusal,
  removeItem,
  setItem,
} from "./cart.ts"
import { Id, readBody, readId } from "./input.ts"
import { Problem } from "./problems.ts"
import { methodNotAllowed } from "./routes.ts"
import type { WithTenant } from "./tenancy.ts"

const Quantity = z
  .int({ error: "must be a whole number" })
  .min(1, { error: "must be at least 1" })
  .max(MAX_QUANTITY, { error: `must be at most ${MAX_QUANTITY}` })

const NewCart = z.strictObject({ userId: Id })
const NewItem = z.strictObject({ productId: Id, quantity: Quantity })
const ItemChange = z.strictObject({ quantity: Quantity })

const noCart = (cart: number) => new Problem("cart-not-found", `there is no cart ${cart}`)

function granted(answer: Cart | Refusal, cart: number, product: number): Cart {
  switch (answer) {
    case "no cart":
      throw noCart(cart)
    case "no product":
      throw new Problem("unknown-product", `there is no product ${product}`)
    case "no item":
      throw new Problem("cart-item-not-found", `product ${product} is not in cart ${cart}`)
    case "too many":
      throw new Problem("quantity-too-large", `a cart holds at most ${MAX_QUANTITY} of one product`)
    case "full":
      throw new Problem("cart-full", `a cart holds at most ${MAX_LINES} different products`)
  }
  return answer
}

/** The routes under /carts. */
export function carts(withTenant: WithTenant): Router {
  const router = Router()
  router
    .route("/carts")
    .post(
      withTenant(async (database, request, response) => {
        const { userId } = await readBody(request, response, NewCart)
        const cart = await database.write((query) => createCart(query, userId))
        if (!cart) throw new Problem("unknown-user", `there is no user ${userId}`)
        response.status(201).location(`/carts/${cart.id}`).json(cart)
      }),
    )
    .all(methodNotAllowed("POST"))

  router
    .route("/carts/:id")
    .get(
      withTenant(async (database, request, response) => {
        const id = readId(request, "id", "cart-not-found")
        const cart = await database.read((query) => getCart(query, id))
        if (!cart) throw noCart(id)
        response.json(cart)
      }),
    )
    .delete(
      withTenant(async (database, request, response) => {
        const id = readId(request, "id", "cart-not-found")
        if (!(await database.write((query) => deleteCart(query, id)))) throw noCart(id)
        response.status(204).end()
      }),
    )
    .all(methodNotAllowed("GET, HEAD, DELETE"))

  router
    .route("/carts/:id/items")
    .post(
      withTenant(async (database, request, response) => {
        const id = readId(request, "id", "cart-not-found")
        const { productId, quantity } = await readBody(request, response, NewItem)
        const answer = await database.write((query) => addItem(query, id, productId, quantity))
        response.json(granted(answer, id, productId))
      }),
    )
    .all(methodNotAllowed("POST"))

  const setQuantity = withTenant(async (database, request, response) => {
    const id = readId(request, "id", "cart-not-found")
    const product = readId(request, "productId", "cart-item-not-found")
    const { quantity } = await readBody(request, response, ItemChange)
    const answer = await database.write((query) => setItem(query, id, product, quantity))
    response.json(granted(answer, id, product))
  })
  router
    .route("/carts/:id/items/:productId")
    .put(setQuantity)
    .patch(setQuantity)
    .delete(
      withTenant(async (database, request, response) => {
        const id = readId(request, "id", "cart-not-found")
        const product = readId(request, "productId", "cart-item-not-found")
        const answer = await database.write((query) => removeItem(query, id, product))
        response.json(granted(answer, id, product))
      }),
    )
    .all(methodNotAllowed("PUT, PATCH, DELETE"))
  return router
}
