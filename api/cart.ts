/** A cart in the database: what its statements promise. Totals are computed in SQL, by the prices of the moment. */
import { z } from "zod"
import { digestTag } from "./etag.ts"
import { Id } from "./input.ts"
import type { Statement } from "./prepared.ts"
import type { Query } from "./transaction.ts"

const CartItem = z.strictObject({
  productId: Id,
  name: z.string(),
  price: z.number(),
  quantity: z.int(),
  lineTotal: z.number(),
})
export const Cart = z.strictObject({ id: Id, userId: Id, items: z.array(CartItem), total: z.number() })
export type Cart = z.infer<typeof Cart>

/** What one line, and one cart, holds at most: with these a cart's answer has a bounded size. */
export const MAX_QUANTITY = 999
export const MAX_LINES = 100

const sql = (name: string, text: string): Statement => ({ name: `cart-${name}`, text })

/** One row, or none where there is no such cart: one statement, so items and total are of one moment. */
const GET = sql(
  "get",
  `select c.id, c.user_id as "userId",
          coalesce(json_agg(json_build_object(
            'productId', p.id, 'name', p.name, 'price', p.price, 'quantity', i.quantity,
            'lineTotal', p.price * i.quantity) order by p.id) filter (where p.id is not null), '[]') as items,
          coalesce(sum(p.price * i.quantity), 0) as total
   from carts c
   left join cart_items i on i.cart_id = c.id
   left join products p on p.id = i.product_id
   where c.id = $1 group by c.id`,
)
/** The user stays until the cart is there. */
const INSERT = sql(
  "insert",
  "insert into carts (user_id) select id from users where id = $1 for key share returning id",
)
const DELETE = sql("delete", "delete from carts where id = $1 returning id")
/** Changes of one cart go one after the other. */
const LOCK = sql("lock", "select id from carts where id = $1 for update")
const TOUCH = sql("touch", "update carts set version = version + 1, updated_at = now() where id = $1")
/** The product, which stays until we are done, and what the cart holds of it and of everything. */
const SPACE = sql(
  "space",
  `select coalesce((select quantity from cart_items where cart_id = $1 and product_id = p.id), 0) as held,
          (select count(*) from cart_items where cart_id = $1) as lines
   from products p where p.id = $2 for key share of p`,
)
const PUT_ITEM = sql(
  "put-item",
  `insert into cart_items (cart_id, product_id, quantity) values ($1, $2, $3)
   on conflict (cart_id, product_id) do update set quantity = excluded.quantity, updated_at = now()`,
)
const SET_ITEM = sql(
  "set-item",
  `update cart_items set quantity = $3, updated_at = now() where cart_id = $1 and product_id = $2 returning quantity`,
)
const REMOVE_ITEM = sql(
  "remove-item",
  "delete from cart_items where cart_id = $1 and product_id = $2 returning product_id",
)

export const getCart = async (query: Query, cart: number): Promise<Cart | undefined> =>
  (await query<Cart>(GET, [cart]))[0]

/** The cart's ETag; nobody changes the cart before this transaction ends, though a product's price may change. */
export async function lockCart(query: Query, cart: number): Promise<string | undefined> {
  if ((await query(LOCK, [cart])).length === 0) return undefined
  return digestTag(await getCart(query, cart))
}

/** The new, empty cart; undefined where there is no such user. */
export async function createCart(query: Query, user: number): Promise<Cart | undefined> {
  const [made] = await query<{ id: number }>(INSERT, [user])
  return made && { id: made.id, userId: user, items: [], total: 0 }
}

export const deleteCart = async (query: Query, cart: number): Promise<boolean> =>
  (await query(DELETE, [cart])).length > 0

export type Refusal = "no cart" | "no product" | "no item" | "too many" | "full"

/** Adds to what the cart holds of the product. The cart as it is then, or why not; a refusal changes nothing. */
export async function addItem(
  query: Query,
  cart: number,
  product: number,
  quantity: number,
): Promise<Cart | Refusal> {
  if ((await query(LOCK, [cart])).length === 0) return "no cart"
  const [space] = await query<{ held: number; lines: number }>(SPACE, [cart, product])
  if (!space) return "no product"
  if (space.held + quantity > MAX_QUANTITY) return "too many"
  if (space.held === 0 && space.lines >= MAX_LINES) return "full"
  await query(PUT_ITEM, [cart, product, space.held + quantity])
  return finish(query, cart)
}

/** Makes the quantity of what the cart already holds exactly this. */
export async function setItem(
  query: Query,
  cart: number,
  product: number,
  quantity: number,
): Promise<Cart | Refusal> {
  if ((await query(LOCK, [cart])).length === 0) return "no cart"
  if ((await query(SET_ITEM, [cart, product, quantity])).length === 0) return "no item"
  return finish(query, cart)
}

export async function removeItem(query: Query, cart: number, product: number): Promise<Cart | Refusal> {
  if ((await query(LOCK, [cart])).length === 0) return "no cart"
  if ((await query(REMOVE_ITEM, [cart, product])).length === 0) return "no item"
  return finish(query, cart)
}

async function finish(query: Query, cart: number): Promise<Cart> {
  await query(TOUCH, [cart])
  return (await getCart(query, cart))!
}
