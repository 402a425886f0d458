/** What a request costs besides the database and the sockets: the real application, over connections that answer at once. */
import { IncomingMessage, ServerResponse } from "node:http"
import { Socket } from "node:net"
import express, { type Express } from "express"
import { createApp } from "../../api/app.ts"
import { believeEverybody } from "../../api/caller.ts"
import type { Connection } from "../../api/connections.ts"
import { cacheCredentials } from "../../api/credentials.ts"
import { openDatabases } from "../../api/databases.ts"
import { createDirectory } from "../../api/directory.ts"
import { openFleet } from "../../api/fleet.ts"
import type { Pools } from "../../api/pools.ts"
import { limitRate } from "../../api/rate.ts"
import { createLogger } from "../../reconciler/log.ts"
import { TenantId } from "../../reconciler/tenant.ts"
import type { Bench } from "../bench.ts"

const BARE = "express"
const OURS = "tenantry"
const TENANT = TenantId.parse("78b0c444-49aa-4308-b35f-9ff530b31920")
const ROW = { id: 7, name: "Product 7", price: 7.99, description: "What there is to say", version: 1 }
const TARGET = "/products/7"
const BATCH = 1000

export const bench: Bench = {
  name: "routing",
  summary:
    "processor time of GET /products/7 in this process, without sockets and database; the best of many batches",
  rounds: { full: 5, quick: 1 },
  async *scenes() {
    const [ours, bare] = [ourApp(), bareApp()]
    yield {
      name: "one tenant by header, warm",
      anchor: BARE,
      contestants: [
        { name: BARE, role: "limit", measure: () => measure(bare) },
        { name: OURS, role: "ours", measure: () => measure(ours) },
      ],
      metrics: [{ name: "µs", digits: 1, isCompared: true }],
      targets: [{ metric: "µs", of: OURS, atMost: 30 }],
    }
  },
}

async function measure(app: Express) {
  let best = Number.POSITIVE_INFINITY
  for (let batch = 0; batch < 20; batch++) {
    const before = process.cpuUsage()
    for (let n = 0; n < BATCH; n++) await ask(app)
    const { user, system } = process.cpuUsage(before)
    best = Math.min(best, (user + system) / BATCH)
  }
  return { µs: best }
}

function ask(app: Express): Promise<void> {
  const request = new IncomingMessage(new Socket())
  request.method = "GET"
  request.url = TARGET
  request.rawHeaders.push("Host", "bench", "X-TenantId", TENANT)
  request.headers = { host: "bench", "x-tenantid": TENANT }
  request.headersDistinct = { host: ["bench"], "x-tenantid": [TENANT] }
  const response = new ServerResponse(request)
  return new Promise((resolve, reject) => {
    response.end = (() => {
      if (!response.headersSent) response.writeHead(response.statusCode)
      response.emit("close")
      if (response.statusCode === 200) resolve()
      else reject(new Error(`${TARGET} was answered ${response.statusCode}`))
      return response
    }) as typeof response.end
    app(request as never, response as never)
  })
}

function bareApp(): Express {
  const app = express()
  app.get("/products/:id", async (request, response) => {
    const { id, name, price, description } = await Promise.resolve({ ...ROW, id: Number(request.params.id) })
    response.json({ id, name, price, description })
  })
  return app
}

const now = () => performance.now()
const readVault = () => Promise.resolve({ state: "active", uri: "postgres://bench", fleet: "bench" } as const)

function ourApp(): Express {
  const log = createLogger("bench", () => {})
  const credentials = cacheCredentials(readVault, {
    now,
    capacity: 1000,
    maxReads: 10,
    sliding: 1e9,
    absolute: 1e9,
    jitter: 0.1,
    refused: { atMost: 1e4, recheck: 250 },
    reserved: { atMost: 1000, recheck: 50 },
    patience: 5000,
    stalePatience: 500,
    holdOff: 5000,
  })
  const connection = {
    run: () => Promise.resolve([ROW]),
    isBroken: () => false,
  } as unknown as Connection
  const pools: Pools = {
    acquire: () => Promise.resolve(connection),
    share: () => Promise.resolve(connection),
    release: () => {},
    reserve: () => undefined,
    counts: () => ({ places: 0, idle: 0, waiting: 0, tenants: 0, evictions: 0 }),
    close: () => Promise.resolve(),
  }
  const rate = { now, capacity: 1000 }
  const directory = createDirectory(
    () => Promise.resolve([]),
    { now, interval: 1e9, missInterval: 1e9, patience: 1000, domains: [] },
    log,
  )
  return createApp({
    tenants: { sources: new Set(["header"]), header: "X-TenantId", hostSuffixes: [] },
    directory,
    fleet: openFleet({
      folder: undefined,
      migrations: "migrations",
      directory,
      readCredential: readVault,
      interval: 1000,
      isByName: false,
      forget: () => Promise.resolve(),
      ownDomains: [],
      isEnding: () => false,
    }),
    isSecured: false,
    authenticate: believeEverybody,
    callerRate: limitRate("caller", 1e9, rate),
    tenantRate: limitRate("tenant", 1e9, rate),
    databases: openDatabases({ credentials, pools, log, patience: 5000 }),
    origins: new Set(),
    proxies: 0,
    readiness: { isReady: () => Promise.resolve(true), drain: () => {}, isDraining: () => false },
    log,
  })
}
