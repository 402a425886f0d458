/** A pool per tenant, made at its first request and kept. */
import pg from "pg"
import { serveProducts, tenantOf } from "./products.ts"
import { readUris } from "./uris.ts"

const uris = readUris()
const pools = new Map<string, pg.Pool>()

serveProducts((request) => {
  const tenant = tenantOf(request)
  let pool = pools.get(tenant)
  if (!pool) {
    pool = new pg.Pool({ connectionString: uris.get(tenant), max: Number(process.env["POOL_MAX"]) })
    pool.on("error", () => {})
    pools.set(tenant, pool)
  }
  return pool
})
