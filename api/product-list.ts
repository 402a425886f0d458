/** Lists of products: by a part of their name, by price, in one of six orders. */
import { z } from "zod"
import { Id, text } from "./input.ts"
import { fromCursor, idAfter, limitOf, Page, toCursor, toPage } from "./pages.ts"
import { MAX_PRICE, Product, type ProductRow } from "./product.ts"
import type { Query, Statement } from "./transaction.ts"

const PRICE_TEXT = /^\d{1,10}(?:\.\d{1,2})?$/
const priceBound = (description: string) =>
  z
    .string({ error: "must be given once" })
    .regex(PRICE_TEXT, { error: `must be from 0 to ${MAX_PRICE} with at most 2 decimals` })
    .transform(Number)
    .optional()
    .meta({ description })

export const ProductList = Page.extend({
  q: text(1, 200).optional().meta({ description: "A part of the name, in capitals or not." }),
  minPrice: priceBound("The lowest price."),
  maxPrice: priceBound("The highest price."),
  sort: z
    .enum(["id", "-id", "name", "-name", "price", "-price"], {
      error: "must be id, name or price, with - before it for the opposite order",
    })
    .optional(),
})
type ProductList = z.infer<typeof ProductList>
type Sort = NonNullable<ProductList["sort"]>

const COLUMNS = "id, name, price, description, version"
/** What the last row of the page before is compared with, as $5 and $6. */
const POSITION: Record<Sort, string> = {
  id: "id > $5",
  "-id": "id < $5",
  name: "(name, id) > ($5, $6)",
  "-name": "(name, id) < ($5, $6)",
  price: "(price, id) > ($5, $6)",
  "-price": "(price, id) < ($5, $6)",
}
const ORDER: Record<Sort, string> = {
  id: "id",
  "-id": "id desc",
  name: "name, id",
  "-name": "name desc, id desc",
  price: "price, id",
  "-price": "price desc, id desc",
}

/** Reads in the list's order until the page is full; a contained text is served by no B-tree. */
const statement = (sort: Sort, isFirst: boolean): Statement => ({
  name: `product-list-by-${sort}${isFirst ? "-first" : ""}`,
  text: `select ${COLUMNS} from products
    where ($2::text is null or strpos(lower(name), lower($2)) > 0)
      and ($3::numeric is null or price >= $3) and ($4::numeric is null or price <= $4)
      ${isFirst ? "" : `and ${POSITION[sort]}`}
    order by ${ORDER[sort]} limit $1`,
})
const SORTS = Object.keys(ORDER) as Sort[]
const FIRST = Object.fromEntries(SORTS.map((sort) => [sort, statement(sort, true)])) as Record<
  Sort,
  Statement
>
const NEXT = Object.fromEntries(SORTS.map((sort) => [sort, statement(sort, false)])) as Record<
  Sort,
  Statement
>

const NameValue = text(1, 200)
const PriceValue = z.number().min(0).max(MAX_PRICE)

/** Where the page begins, as the statement's $5 and $6. */
function positionOf(sort: Sort, after: string): (string | number)[] {
  if (sort === "id" || sort === "-id") return [idAfter(after)]
  return fromCursor<string | number, number>(after, sort, sort.endsWith("name") ? NameValue : PriceValue, Id)
}

function cursorOf(sort: Sort, row: ProductRow): string {
  if (sort === "id" || sort === "-id") return String(row.id)
  return toCursor(sort, sort.endsWith("name") ? row.name : row.price, row.id)
}

export const toProduct = ({ id, name, price, description }: ProductRow): z.infer<typeof Product> => ({
  id,
  name,
  price,
  description,
})

/** One page. Throws Problem where `after` is none of this order. */
export async function listProducts(query: Query, list: ProductList) {
  const { q, minPrice, maxPrice, after, sort = "id" } = list
  const limit = limitOf(list)
  const filters = [limit + 1, q, minPrice, maxPrice]
  const rows = await (after === undefined
    ? query<ProductRow>(FIRST[sort], filters)
    : query<ProductRow>(NEXT[sort], [...filters, ...positionOf(sort, after)]))
  return toPage(rows, limit, toProduct, (row) => cursorOf(sort, row))
}
