/** Lists of products: by a part of their name, by price, in one of six orders. */
import { z } from "zod"
import { Id, text } from "./input.ts"
import { checkAfter, fromCursor, idAfter, limitOf, Page, toCursor, toPage } from "./pages.ts"
import { MAX_PRICE, type Product } from "./product.ts"
import type { Statement } from "./prepared.ts"
import type { Query } from "./transaction.ts"

const PRICE_TEXT = /^\d{1,10}(?:\.\d{1,2})?$/
const priceBound = (description: string) =>
  z
    .string({ error: "must be given once" })
    .regex(PRICE_TEXT, { error: `must be from 0 to ${MAX_PRICE} with at most 2 decimals` })
    .transform(Number)
    .optional()
    .meta({ description })

const Listing = Page.extend({
  q: text(1, 200).optional().meta({ description: "A part of the name, in capitals or not." }),
  minPrice: priceBound("The lowest price."),
  maxPrice: priceBound("The highest price."),
  sort: z
    .enum(["id", "-id", "name", "-name", "price", "-price"], {
      error: "must be id, name or price, with - before it for the opposite order",
    })
    .optional(),
})
type ProductList = z.infer<typeof Listing>
type Sort = NonNullable<ProductList["sort"]>
type Item = z.infer<typeof Product>

type Filter = "q" | "minPrice" | "maxPrice"
/** What a row must fulfil; a contained text is served by no B-tree. */
const FILTERS: Record<Filter, (parameter: string) => string> = {
  q: (part) => `strpos(lower(name), lower(${part}::text)) > 0`,
  minPrice: (price) => `price >= ${price}`,
  maxPrice: (price) => `price <= ${price}`,
}
const ALL_FILTERS = Object.keys(FILTERS) as Filter[]
/** What the last row of the page before is compared with. */
const POSITION: Record<Sort, (first: string, second: string) => string> = {
  id: (id) => `id > ${id}`,
  "-id": (id) => `id < ${id}`,
  name: (name, id) => `(name, id) > (${name}, ${id})`,
  "-name": (name, id) => `(name, id) < (${name}, ${id})`,
  price: (price, id) => `(price, id) > (${price}, ${id})`,
  "-price": (price, id) => `(price, id) < (${price}, ${id})`,
}
const ORDER: Record<Sort, string> = {
  id: "id",
  "-id": "id desc",
  name: "name, id",
  "-name": "name desc, id desc",
  price: "price, id",
  "-price": "price desc, id desc",
}

/** By name, as they are first wanted: as many as there are ways to ask, which are 96. */
const statements = new Map<string, Statement>()

/**
 * Reads in the list's order until the page is full, and asks for nothing that the list does not: what every row is asked,
 * and what Postgres must find out before it can ask, take time. $1 is the limit, then come the filters and the position.
 */
function statementOf(sort: Sort, filters: Filter[], isFirst: boolean): Statement {
  const name = `product-list-by-${[sort, ...filters].join("-")}${isFirst ? "-first" : ""}`
  const known = statements.get(name)
  if (known) return known
  const conditions = filters.map((filter, n) => FILTERS[filter](`$${n + 2}`))
  if (!isFirst) conditions.push(POSITION[sort](`$${filters.length + 2}`, `$${filters.length + 3}`))
  const where = conditions.length > 0 ? `where ${conditions.join(" and ")}` : ""
  const reading = `select id, name, price, description from products ${where} order by ${ORDER[sort]} limit $1`
  const statement = { name, text: reading }
  statements.set(name, statement)
  return statement
}

const NameValue = text(1, 200)
const PriceValue = z.number().min(0).max(MAX_PRICE)

/** Where the page begins, as the statement's last values. */
function positionOf(sort: Sort, after: string): (string | number)[] {
  if (sort === "id" || sort === "-id") return [idAfter(after)]
  return fromCursor<string | number, number>(after, sort, sort.endsWith("name") ? NameValue : PriceValue, Id)
}

/** The query of the list. */
export const ProductList = Listing.superRefine(
  checkAfter(({ after, sort = "id" }) => positionOf(sort, after)),
)

function cursorOf(sort: Sort, row: Item): string {
  if (sort === "id" || sort === "-id") return String(row.id)
  return toCursor(sort, sort.endsWith("name") ? row.name : row.price, row.id)
}

/** One page. */
export async function listProducts(query: Query, list: ProductList) {
  const { after, sort = "id" } = list
  const limit = limitOf(list)
  const filters = ALL_FILTERS.filter((filter) => list[filter] !== undefined)
  const position = after === undefined ? [] : positionOf(sort, after)
  const rows = await query<Item>(statementOf(sort, filters, after === undefined), [
    limit + 1,
    ...filters.map((filter) => list[filter]),
    ...position,
  ])
  return toPage(rows, limit, (row) => cursorOf(sort, row))
}
