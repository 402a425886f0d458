/** What the tenant sells. */
import type { z } from "zod"
import { versionTag } from "./etag.ts"
import { type Answer, type Operation, operation, type Outcome } from "./operation.ts"
import { pageOf } from "./pages.ts"
import {
  deleteProduct,
  getProduct,
  insertProduct,
  lockProduct,
  NewProduct,
  Product,
  ProductChange,
  type ProductRow,
  updateProduct,
} from "./product.ts"
import { listProducts, ProductList } from "./product-list.ts"
import { Problem } from "./problems.ts"
import type { Query } from "./transaction.ts"

const absent = (id: number) => new Problem("product-not-found", `there is no product ${id}`)

const toProduct = ({ id, name, price, description }: ProductRow): z.infer<typeof Product> => ({
  id,
  name,
  price,
  description,
})

const shown = (row: ProductRow | undefined, id: number): Outcome =>
  row ? { status: 200, body: toProduct(row), etag: versionTag(row.version) } : absent(id)

const one = {
  path: "/products/{id}",
  ids: { id: "product-not-found" as const },
  current: (query: Query, { id }: { id: number }) => lockProduct(query, id),
}

const change = async (
  query: Query,
  { ids: { id }, body }: { ids: { id: number }; body: z.infer<typeof ProductChange> },
): Promise<Outcome> => shown(await updateProduct(query, id, body), id)

/** The operations under /products. */
export const products: Operation[] = [
  operation({
    method: "get",
    path: "/products",
    name: "listProducts",
    summary: "Lists products in pages.",
    query: ProductList,
    answer: { status: 200, schema: pageOf(Product) },
    run: async (query, input) => ({ status: 200, body: await listProducts(query, input.query) }),
  }),
  operation({
    method: "post",
    path: "/products",
    name: "createProduct",
    summary: "Adds a product.",
    body: NewProduct,
    answer: { status: 201, schema: Product },
    run: async (query, { body }) => {
      const row = await insertProduct(query, body)
      const answer: Answer = {
        status: 201,
        body: toProduct(row),
        etag: versionTag(row.version),
        location: `/products/${row.id}`,
      }
      return answer
    },
  }),
  operation({
    ...one,
    method: "get",
    name: "getProduct",
    summary: "Shows a product.",
    answer: { status: 200, schema: Product },
    run: async (query, { ids: { id } }) => shown(await getProduct(query, id), id),
  }),
  operation({
    ...one,
    method: "put",
    name: "replaceProduct",
    summary: "Replaces a product; a description that is not given becomes empty.",
    body: NewProduct,
    answer: { status: 200, schema: Product },
    run: change,
  }),
  operation({
    ...one,
    method: "patch",
    name: "changeProduct",
    summary: "Changes what is given and leaves the rest.",
    body: ProductChange,
    answer: { status: 200, schema: Product },
    run: change,
  }),
  operation({
    ...one,
    method: "delete",
    name: "deleteProduct",
    summary: "Deletes a product that no cart holds.",
    answer: { status: 204 },
    problems: ["product-in-use"],
    run: async (query, { ids: { id } }) => {
      const { deleted, carts } = await deleteProduct(query, id)
      if (carts.length > 0) {
        const holders = carts.length === 10 ? "10 or more carts" : `cart ${carts.join(", ")}`
        return new Problem("product-in-use", `product ${id} is in ${holders}`, { members: { carts } })
      }
      return deleted ? { status: 204 } : absent(id)
    },
  }),
]
