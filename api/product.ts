/** A product: what it looks like in JSON, and the statements that keep it. */
import { z } from "zod"
import { versionTag } from "./etag.ts"
import { Id, text } from "./input.ts"
import type { Statement } from "./prepared.ts"
import type { Query } from "./transaction.ts"

/** What numeric(12,2) holds. */
export const MAX_PRICE = 9_999_999_999.99

const Price = z
  .number({ error: "must be a number" })
  .min(0, { error: "must not be negative" })
  .max(MAX_PRICE, { error: `must be at most ${MAX_PRICE}`, abort: true })
  // Exact: below 10^12 cents, dividing the rounded cents gives the double that the decimal text stands for.
  .refine((price) => Math.round(price * 100) / 100 === price, { error: "must have at most 2 decimals" })

const Name = text(1, 200).refine((name) => /\S/.test(name), { error: "must not be blank" })
const Description = text(0, 10_000)

export const NewProduct = z.strictObject({ name: Name, price: Price, description: Description.default("") })
export const ProductChange = z
  .strictObject({ name: Name.optional(), price: Price.optional(), description: Description.optional() })
  .refine((change) => Object.keys(change).length > 0, {
    error: "must name at least one of name, price, description",
  })
export const Product = z.strictObject({
  id: Id,
  name: z.string(),
  price: z.number(),
  description: z.string(),
})

/** `version` grows with every change of the row. */
export type ProductRow = z.infer<typeof Product> & { version: number }

const COLUMNS = "id, name, price, description, version"
const sql = (name: string, body: string): Statement => ({ name: `product-${name}`, text: body })

const GET = sql("get", `select ${COLUMNS} from products where id = $1`)
const LOCK = sql("lock", "select version from products where id = $1 for update")
const INSERT = sql(
  "insert",
  `insert into products (name, price, description) values ($1, $2, $3) returning ${COLUMNS}`,
)
const UPDATE = sql(
  "update",
  `update products set name = coalesce($2, name), price = coalesce($3, price),
     description = coalesce($4, description), version = version + 1, updated_at = now()
   where id = $1 returning ${COLUMNS}`,
)
/** Deletes what no cart holds, and tells of at most ten carts that hold it. */
const DELETE = sql(
  "delete",
  `with held as (select cart_id from cart_items where product_id = $1 order by cart_id limit 10),
        gone as (delete from products where id = $1 and not exists (select from held) returning id)
   select exists (select from gone) as deleted,
          (select coalesce(json_agg(cart_id order by cart_id), '[]') from held) as carts`,
)

export const getProduct = async (query: Query, id: number): Promise<ProductRow | undefined> =>
  (await query<ProductRow>(GET, [id]))[0]

export const insertProduct = async (
  query: Query,
  { name, price, description }: z.infer<typeof NewProduct>,
): Promise<ProductRow> => (await query<ProductRow>(INSERT, [name, price, description]))[0]!

/** Changes what is given and leaves the rest; undefined where there is no such product. */
export const updateProduct = async (
  query: Query,
  id: number,
  { name, price, description }: z.infer<typeof ProductChange>,
): Promise<ProductRow | undefined> => (await query<ProductRow>(UPDATE, [id, name, price, description]))[0]

/** Whether it was deleted, and up to ten carts for whose sake it was not. */
export const deleteProduct = async (
  query: Query,
  id: number,
): Promise<{ deleted: boolean; carts: number[] }> =>
  (await query<{ deleted: boolean; carts: number[] }>(DELETE, [id]))[0]!

/** The product's ETag, which nobody changes before this transaction ends. */
export async function lockProduct(query: Query, id: number): Promise<string | undefined> {
  const [row] = await query<{ version: number }>(LOCK, [id])
  return row && versionTag(row.version)
}
