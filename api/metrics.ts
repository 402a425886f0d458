/** What the metrics are told of requests, of the pools and of the credentials that are held. */
import type { RequestHandler, Response } from "express"
import { Counter, Gauge, Histogram } from "prom-client"
import { SECONDS, tenantLabel } from "../reconciler/metrics.ts"
import type { CredentialCache } from "./credentials.ts"
import type { Pools } from "./pools.ts"
import { type ProblemKey, PROBLEMS } from "./problems.ts"

const requests = new Counter({
  name: "tenantry_api_requests_total",
  help: "Requests that were answered, by method, route (none where the address has none) and status.",
  labelNames: ["method", "route", "status", "tenant"],
})
const seconds = new Histogram({
  name: "tenantry_api_request_duration_seconds",
  help: "How long requests took until their answer was written.",
  labelNames: ["method", "route"],
  buckets: SECONDS,
})
const running = new Gauge({ name: "tenantry_api_requests_running", help: "Requests without an answer yet." })
const refusals = new Counter({
  name: "tenantry_api_refusals_total",
  help: "Requests that were answered with a problem, by its key.",
  labelNames: ["reason"],
})
const waits = new Histogram({
  name: "tenantry_pool_wait_seconds",
  help: "How long requests waited for a connection to their tenant's database, connecting included.",
  buckets: SECONDS,
})
const evictions: Counter & { collect?: () => void } = new Counter({
  name: "tenantry_pool_evictions_total",
  help: "Connections that were closed so that another tenant could have one.",
})
const cacheReads = new Counter({
  name: "tenantry_credential_reads_total",
  help: "Looks at a tenant's credential: hit (held), stale (held, and the vault is away) or miss (the vault was asked).",
  labelNames: ["outcome"],
})

/** The methods that routes have; what else a client makes up is one. */
const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])

/** Counts and times every request. */
export const measureRequests: RequestHandler = (request, response, next) => {
  const method = METHODS.has(request.method) ? request.method : "other"
  const begun = performance.now()
  running.inc()
  response.on("close", () => {
    running.dec()
    const route = routeOf(response)
    seconds.observe({ method, route }, (performance.now() - begun) / 1000)
    // A client that went away has no answer; 499 is what proxies call that.
    const status = response.writableFinished ? response.statusCode : 499
    requests.inc({ method, route, status, ...tenantLabel(response.locals["served"]) })
  })
  next()
}

/** The route's pattern, which no id or name is part of. */
export function routeOf({ req }: Response): string {
  const { route } = req as { route?: { path?: unknown } }
  return typeof route?.path === "string" ? route.path : "none"
}

// A series that is there from the start shows its first increase.
for (const reason of Object.keys(PROBLEMS)) refusals.inc({ reason }, 0)
for (const outcome of ["hit", "stale", "miss"]) cacheReads.inc({ outcome }, 0)

export const countRefusal = (reason: ProblemKey): void => refusals.inc({ reason })

export const countCredentialRead = (outcome: "hit" | "stale" | "miss"): void => cacheReads.inc({ outcome })

/** A gauge that is read when it is asked for. */
const show = (name: string, help: string, read: () => number) =>
  new Gauge({
    name,
    help,
    collect() {
      this.set(read())
    },
  })

/** The same pools; how long who wants a connection waits is measured, and what they hold is shown. `max`: places in all. */
export function measurePools(pools: Pools, max: number): Pools {
  const { counts } = pools
  show("tenantry_pool_connections_max", "Most connections to tenants' databases.", () => max)
  show(
    "tenantry_pool_connections",
    "Connections to tenants' databases, with those being made or closed.",
    () => counts().places,
  )
  show("tenantry_pool_connections_idle", "Connections that nobody uses.", () => counts().idle)
  show(
    "tenantry_pool_waiting",
    "Waits for a connection; readers of one tenant wait together.",
    () => counts().waiting,
  )
  show("tenantry_pool_tenants", "Tenants with a connection, or waiting for one.", () => counts().tenants)
  evictions.collect = () => {
    evictions.reset()
    evictions.inc(counts().evictions)
  }
  const timed =
    (get: Pools["acquire"]): Pools["acquire"] =>
    async (...wanted) => {
      const begun = performance.now()
      try {
        return await get(...wanted)
      } finally {
        waits.observe((performance.now() - begun) / 1000)
      }
    }
  return { ...pools, acquire: timed(pools.acquire), share: timed(pools.share) }
}

/** Shows how many answers of the vault are held. */
export const measureCredentials = (credentials: CredentialCache): void =>
  void show("tenantry_credentials_held", "Answers of the vault about tenants that are held in memory.", () =>
    credentials.size(),
  )
