/** The API's entry point: reads the environment, serves until SIGTERM or SIGINT, then ends in order. */
import { once } from "node:events"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { createLogger } from "../reconciler/log.ts"
import { openCredentialReader } from "../reconciler/providers/vault.ts"
import { createApp } from "./app.ts"
import { type Config, readConfig } from "./config.ts"
import { cacheCredentials } from "./credentials.ts"
import { openDatabases } from "./databases.ts"
import { codeOf, forLog } from "./failures.ts"
import { watchReadiness } from "./health.ts"
import { createPools } from "./pools.ts"

const MINUTE = 60_000
const HOUR = 60 * MINUTE
/** How long running requests may take to finish once the process was told to end. */
const GRACE = 25_000
/** How long closing the database connections may take after that. */
const CLOSE_GRACE = 3000

const now = () => performance.now()
const log = createLogger("api")
// Node and the libraries print warnings as plain text; here standard error holds JSON only.
process.removeAllListeners("warning")
process.on("warning", (warning) => log.warn({ error: forLog(warning) }, "a warning of the runtime"))

for (const event of ["uncaughtException", "unhandledRejection"]) {
  process.on(event, (error: unknown) => {
    log.fatal({ error: forLog(error) }, "a fault that nobody caught")
    process.exit(1)
  })
}

const environment = readConfig(process.env)
if ("problems" in environment) {
  for (const problem of environment.problems) log.fatal({ problem }, "a setting is wrong")
  process.exit(2)
}
await serve(environment.config)

async function serve(config: Config): Promise<void> {
  const readVault = openCredentialReader(config.KEY_VAULT_URL)
  const credentials = cacheCredentials(readVault, {
    now,
    capacity: 10_000,
    maxReads: 100,
    sliding: 30 * MINUTE,
    absolute: 8 * HOUR,
    negative: config.NEGATIVE_CACHE_MS,
    recheck: 250,
    reserved: Math.min(1000, config.NEGATIVE_CACHE_MS),
    patience: 5000,
    holdOff: 5000,
  })
  const pools = createPools(
    {
      maxConnections: config.POOL_MAX,
      maxPools: config.POOLS_MAX,
      maxWaiting: 1000,
      wait: config.POOL_WAIT_MS,
      connectTimeout: config.CONNECT_TIMEOUT_MS,
      statementTimeout: config.STATEMENT_TIMEOUT_MS,
      idleTimeout: config.POOL_IDLE_MS,
    },
    log,
  )
  const databases = openDatabases({ credentials, pools, log, patience: config.RETRY_MS })
  const readiness = watchReadiness(readVault, { now, interval: 5000, patience: 3000 })
  const app = createApp({ tenantHeader: config.TENANT_HEADER, databases, readiness, log })

  const server = createServer({ requestTimeout: 30_000, headersTimeout: 10_000 }, app)
  server.maxConnections = 10_000
  server.listen(config.PORT, config.HOST)
  await once(server, "listening").catch((error: unknown) => {
    log.fatal({ port: config.PORT, code: codeOf(error) }, "cannot listen: set PORT to one that is free")
    process.exit(1)
  })
  log.info({ port: (server.address() as AddressInfo).port }, "api is listening")

  const [signal] = (await Promise.race([once(process, "SIGTERM"), once(process, "SIGINT")])) as [string]
  log.info({ signal }, "api is ending")
  readiness.drain()
  const closed = once(server, "close")
  server.close()
  const sweep = setInterval(() => server.closeIdleConnections(), 100)
  const isDone = await Promise.race([closed.then(() => true), sleep(GRACE, false)])
  clearInterval(sweep)
  if (!isDone) {
    log.warn({ graceMs: GRACE }, "requests were cut off")
    server.closeAllConnections()
  }
  await Promise.race([pools.close(), sleep(CLOSE_GRACE)])
  log.info("api has ended")
  process.exit(0)
}
