/** The bare thing that every peer is made of: Express, and the two queries that the load asks for. */
import type { AddressInfo } from "node:net"
import express, { type Request } from "express"
import type { Pool } from "pg"

type Product = { id: string; name: string; price: string; description: string }

const LIST = "select id, name, price, description from products order by id limit $1"
const GET = "select id, name, price, description from products where id = $1"

const toProduct = ({ id, name, price, description }: Product) => ({
  id: Number(id),
  name,
  price: Number(price),
  description,
})

/** Serves products out of the pool of the request, and says where. */
export function serveProducts(poolOf: (request: Request) => Pool): void {
  const app = express()
  app.get("/products", async (request, response) => {
    const limit = Math.min(100, Number(request.query["limit"] ?? 50))
    const { rows } = await poolOf(request).query<Product>(LIST, [limit + 1])
    const next = rows.length > limit ? rows[limit - 1]!.id : null
    response.json({ items: rows.slice(0, limit).map(toProduct), next })
  })
  app.get("/products/:id", async (request, response) => {
    const { rows } = await poolOf(request).query<Product>(GET, [Number(request.params.id)])
    if (rows[0]) response.json(toProduct(rows[0]))
    else response.status(404).json({ title: "No such product" })
  })
  const server = app.listen(0, "127.0.0.1", () => {
    process.stdout.write(`listening on ${(server.address() as AddressInfo).port}\n`)
  })
  process.once("SIGTERM", () => process.exit(0))
}

/** The tenant that the request names. */
export const tenantOf = (request: Request): string => request.get("X-TenantId") ?? ""
