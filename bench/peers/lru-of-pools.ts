/** A pool per tenant; the ones that were not used for longest are closed, so that the connections are enough. */
import { LRUCache } from "lru-cache"
import pg from "pg"
import { serveProducts, tenantOf } from "./products.ts"
import { readUris } from "./uris.ts"

const uris = readUris()
const max = Number(process.env["POOL_MAX"])
const pools = new LRUCache<string, pg.Pool>({
  max: Math.floor(Number(process.env["CONNECTIONS_MAX"]) / max),
  dispose: retire,
})

/** A pool that is ended forgets whoever waits for one of its connections: those are served first. */
function retire(pool: pg.Pool): void {
  if (pool.waitingCount === 0) void pool.end()
  else pool.once("release", () => setImmediate(retire, pool))
}

serveProducts((request) => {
  const tenant = tenantOf(request)
  let pool = pools.get(tenant)
  if (!pool) {
    pool = new pg.Pool({ connectionString: uris.get(tenant), max })
    pool.on("error", () => {})
    pools.set(tenant, pool)
  }
  return pool
})
