/** What the tenant sells. */
import { type RequestHandler, Router } from "express"
import { z } from "zod"
import { Page, readBody, readId, readQuery, text, toPage } from "./input.ts"
import { Problem } from "./problems.ts"
import { methodNotAllowed } from "./routes.ts"
import type { WithTenant } from "./tenancy.ts"
import type { Statement } from "./transaction.ts"

type Product = { id: number; name: string; price: number; description: string }

/** What numeric(12,2) holds. */
const MAX_PRICE = 9_999_999_999.99

const Price = z
  .number({ error: "must be a number" })
  .min(0, { error: "must not be negative" })
  .max(MAX_PRICE, { error: `must be at most ${MAX_PRICE}`, abort: true })
  // Exact: below 10^12 cents, dividing the rounded cents gives the double that the decimal text stands for.
  .refine((price) => Math.round(price * 100) / 100 === price, { error: "must have at most 2 decimals" })

const Name = text(1, 200).refine((name) => /\S/.test(name), { error: "must not be blank" })
const Description = text(0, 10_000)

const NewProduct = z.strictObject({ name: Name, price: Price, description: Description.default("") })
const ProductChange = z
  .strictObject({ name: Name.optional(), price: Price.optional(), description: Description.optional() })
  .refine((change) => Object.keys(change).length > 0, {
    error: "must name at least one of name, price, description",
  })
const ProductList = Page.extend({ q: text(1, 200).optional() })

const sql = (name: string, body: string): Statement => ({ name: `product-${name}`, text: body })

const LIST = sql(
  "list",
  "select id, name, price, description from products where id > $1 order by id limit $2",
)
/** Reads in the order of ids until the page is full; a contained text is served by no B-tree. */
const SEARCH = sql(
  "search",
  `select id, name, price, description from products
   where id > $1 and strpos(lower(name), lower($3)) > 0 order by id limit $2`,
)
const GET = sql("get", "select id, name, price, description from products where id = $1")
const INSERT = sql(
  "insert",
  `insert into products (name, price, description) values ($1, $2, $3) returning id, name, price, description`,
)
const UPDATE = sql(
  "update",
  `update products set name = coalesce($2, name), price = coalesce($3, price),
     description = coalesce($4, description), version = version + 1, updated_at = now()
   where id = $1 returning id, name, price, description`,
)
/** Deletes what no cart holds, and tells of at most ten carts that hold it. */
const DELETE = sql(
  "delete",
  `with held as (select cart_id from cart_items where product_id = $1 order by cart_id limit 10),
        gone as (delete from products where id = $1 and not exists (select from held) returning id)
   select exists (select from gone) as deleted,
          (select coalesce(json_agg(cart_id order by cart_id), '[]') from held) as carts`,
)

const absent = (id: number) => new Problem("product-not-found", `there is no product ${id}`)

/** The routes under /products. */
export function products(withTenant: WithTenant): Router {
  const router = Router()
  const change = (
    schema: z.ZodType<{ [Field in keyof Omit<Product, "id">]?: Product[Field] | undefined }>,
  ): RequestHandler =>
    withTenant(async (database, request, response) => {
      const id = readId(request, "id", "product-not-found")
      const { name, price, description } = await readBody(request, response, schema)
      const [product] = await database.write((query) =>
        query<Product>(UPDATE, [id, name, price, description]),
      )
      if (!product) throw absent(id)
      response.json(product)
    })

  router
    .route("/products")
    .get(
      withTenant(async (database, request, response) => {
        const { limit, after, q } = readQuery(request, ProductList)
        const rows = await database.read((query) =>
          q === undefined
            ? query<Product>(LIST, [after, limit + 1])
            : query<Product>(SEARCH, [after, limit + 1, q]),
        )
        response.json(toPage(rows, limit))
      }),
    )
    .post(
      withTenant(async (database, request, response) => {
        const { name, price, description } = await readBody(request, response, NewProduct)
        const [product] = await database.write((query) => query<Product>(INSERT, [name, price, description]))
        response.status(201).location(`/products/${product!.id}`).json(product)
      }),
    )
    .all(methodNotAllowed("GET, HEAD, POST"))

  router
    .route("/products/:id")
    .get(
      withTenant(async (database, request, response) => {
        const id = readId(request, "id", "product-not-found")
        const [product] = await database.read((query) => query<Product>(GET, [id]))
        if (!product) throw absent(id)
        response.json(product)
      }),
    )
    .put(change(NewProduct))
    .patch(change(ProductChange))
    .delete(
      withTenant(async (database, request, response) => {
        const id = readId(request, "id", "product-not-found")
        const [outcome] = await database.write((query) =>
          query<{ deleted: boolean; carts: number[] }>(DELETE, [id]),
        )
        const { deleted, carts } = outcome!
        if (carts.length > 0) {
          throw new Problem(
            "product-in-use",
            `product ${id} is in ${carts.length === 10 ? "10 or more carts" : `cart ${carts.join(", ")}`}`,
            {
              members: { carts },
            },
          )
        }
        if (!deleted) throw absent(id)
        response.status(204).end()
      }),
    )
    .all(methodNotAllowed("GET, HEAD, PUT, PATCH, DELETE"))
  return router
}
