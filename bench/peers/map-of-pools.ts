/** A pool per tenant, made at its first request and kept. */
import pg from "pg"
import { serveProducts, tenantOf } from "./products.ts"
import { readUris } from "./uris.ts"

const uris = readUris()
const max = Number(process.env["POOL_MAX"])
const idleTimeoutMillis = Number(process.env["POOL_IDLE_MS"] ?? 10_000)
const pools = new Map<string, pg.Pool>()

serveProducts((request) => {
  const tenant = tenantOf(request)
  let pool = pools.get(tenant)
  if (!pool) {
    pool = new pg.Pool({ connectionString: uris.get(tenant), max, idleTimeoutMillis })
    pool.on("error", () => {})
    pools.set(tenant, pool)
  }
  return pool
})
