/** The API's entry point: reads the environment, serves until SIGTERM or SIGINT, then ends in order. */
import { once } from "node:events"
import type { AddressInfo } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { setFlagsFromString } from "node:v8"
import { createLogger, keepSecret } from "../reconciler/log.ts"
import { serveMetrics } from "../reconciler/metrics-server.ts"
import { startMetrics } from "../reconciler/metrics.ts"
import { openCredentialReader, openVaultProbe } from "../reconciler/providers/vault.ts"
import { rememberScramKeys } from "../reconciler/providers/scram.ts"
import { openTenantList } from "../reconciler/providers/vault-names.ts"
import { startTracing } from "../reconciler/tracing.ts"
import { createApp } from "./app.ts"
import { type Authenticate, believeEverybody } from "./caller.ts"
import { type Config, readConfig } from "./config.ts"
import { assertMarker } from "./connections.ts"
import { cacheCredentials } from "./credentials.ts"
import { openDatabases } from "./databases.ts"
import { createDirectory } from "./directory.ts"
import { codeOf, forLog } from "./failures.ts"
import { openFleet } from "./fleet.ts"
import { createHeadStarts } from "./head-start.ts"
import { watchReadiness } from "./health.ts"
import { measureCredentials, measurePools } from "./metrics.ts"
import { createPools } from "./pools.ts"
import { limitRate } from "./rate.ts"
import { createApiServer } from "./server.ts"
import { openTemplate } from "./template.ts"
import { believeTokens } from "./tokens.ts"

const MINUTE = 60_000
const HOUR = 60 * MINUTE
/** How long running requests may take to finish once the process was told to end. */
const GRACE = 25_000
/** How long closing the database connections may take after that. */
const CLOSE_GRACE = 3000

// V8 makes old at once what comes from where most lived long when it looked. Such an object of a request keeps alive all
// that it leads to until a full collection: half of the processor's time beyond the bare answer, and 100 MB.
setFlagsFromString("--no-allocation-site-pretenuring")
// A young collection has little to copy: helping threads cost more of the processor than they save, and it is Postgres' too.
setFlagsFromString("--no-parallel-scavenge")

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
  const endTracing = await startTracing("tenantry-api", log)
  startMetrics({ byTenant: config.METRICS_TENANT_LABEL === "on" })
  const { readCredential: readVault, listTenants, reach } = openCredentials(config.credentials)
  const directory = createDirectory(
    listTenants,
    {
      now,
      interval: config.NAMES_INTERVAL_MS,
      missInterval: 2000,
      patience: 5000,
      domains: config.TENANT_HOST_SUFFIXES,
    },
    log,
  )
  directory.prepare()
  const headStarts = createHeadStarts({
    knownById: directory.knownById,
    reserve: (...session) => pools.reserve(...session),
    connectTimeout: config.CONNECT_TIMEOUT_MS,
    life: Math.min(1000, config.CONNECT_TIMEOUT_MS / 2),
    statementTimeout: config.STATEMENT_TIMEOUT_MS,
  })
  const credentials = cacheCredentials(headStarts.beside(readVault), {
    now,
    capacity: 10_000,
    maxReads: 100,
    sliding: 30 * MINUTE,
    // Whom a vault's tenant suspends, Postgres lets in no more; with one credential for all only the files say so.
    absolute: config.credentials.kind === "vault" ? 8 * HOUR : config.NAMES_INTERVAL_MS,
    jitter: 0.1,
    refused: { atMost: config.NEGATIVE_CACHE_MS, recheck: 250 },
    reserved: { atMost: Math.min(1000, config.NEGATIVE_CACHE_MS), recheck: 50 },
    patience: 5000,
    stalePatience: 500,
    holdOff: 5000,
  })
  rememberScramKeys()
  const pools = measurePools(
    createPools(
      {
        maxConnections: config.POOL_MAX,
        budget: config.CONNECTIONS_MAX,
        maxWaiting: 500,
        maxWaitingTotal: 5000,
        wait: config.POOL_WAIT_MS,
        connectTimeout: config.CONNECT_TIMEOUT_MS,
        statementTimeout: config.STATEMENT_TIMEOUT_MS,
        checkMarker: assertMarker,
        learn: headStarts.learn,
        idleTimeout: config.POOL_IDLE_MS,
      },
      log,
    ),
    config.CONNECTIONS_MAX,
  )
  measureCredentials(credentials)
  const databases = openDatabases({ credentials, pools, log, patience: config.RETRY_MS })
  const readiness = watchReadiness(reach, { now, interval: 5000, patience: 3000 })
  const rate = { now, capacity: 10_000 }
  const app = createApp({
    tenants: {
      sources: config.TENANT_FROM,
      header: config.TENANT_HEADER,
      hostSuffixes: config.TENANT_HOST_SUFFIXES,
    },
    directory,
    fleet: openFleet({
      folder: config.TENANTS_DIR,
      migrations: config.MIGRATIONS_DIR,
      directory,
      readCredential: readVault,
      forget: (tenant) => credentials.read(tenant, 0),
      isByName: config.TENANT_FROM.has("host") || config.TENANT_FROM.has("path"),
      ownDomains: config.TENANT_HOST_SUFFIXES,
      interval: 250,
      isEnding: readiness.isDraining,
    }),
    isSecured: config.authority.kind === "issuer",
    authenticate: openAuthority(config),
    callerRate: limitRate("caller", config.RATE_PER_CALLER, rate),
    tenantRate: limitRate("tenant", config.RATE_PER_TENANT, rate),
    databases,
    origins: new Set(config.CORS_ORIGINS),
    proxies: config.TRUSTED_PROXIES,
    readiness,
    log,
  })

  const server = createApiServer(app)
  server.listen(config.PORT, config.HOST)
  await once(server, "listening").catch((error: unknown) => {
    log.fatal({ port: config.PORT, code: codeOf(error) }, "cannot listen: set PORT to one that is free")
    process.exit(1)
  })
  const metricsPort = await openMetrics(config)
  // Whoever reads that it listens may tell it to end at once.
  const told = Promise.race([once(process, "SIGTERM"), once(process, "SIGINT")])
  log.info({ port: (server.address() as AddressInfo).port, metricsPort }, "api is listening")

  const [signal] = (await told) as [string]
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
  await endTracing()
  log.info("api has ended")
  process.exit(0)
}

/** The port that metrics are served on; undefined where the settings name none. */
async function openMetrics({ METRICS_PORT, METRICS_HOST, HOST }: Config): Promise<number | undefined> {
  if (METRICS_PORT === undefined) return undefined
  const server = await serveMetrics(METRICS_PORT, METRICS_HOST ?? HOST).catch((error: unknown) => {
    log.fatal(
      { port: METRICS_PORT, code: codeOf(error) },
      "cannot listen: set METRICS_PORT to one that is free",
    )
    process.exit(1)
  })
  return (server.address() as AddressInfo).port
}

function openCredentials(credentials: Config["credentials"]): ReturnType<typeof openTemplate> {
  if (credentials.kind === "vault") {
    return {
      readCredential: openCredentialReader(credentials.url),
      listTenants: openTenantList(credentials.url),
      reach: openVaultProbe(credentials.url),
    }
  }
  log.warn(
    "CONNECTION_TEMPLATE is set: one credential opens every tenant's database, so Postgres keeps no tenant from another",
  )
  keepSecret(new URL(credentials.template.replace("{database}", "")).password)
  return openTemplate(credentials)
}

function openAuthority(config: Config): Authenticate {
  if (config.authority.kind === "off") {
    log.warn("AUTH=off: whoever reaches this port may read and change every tenant's data")
    return believeEverybody
  }
  return believeTokens(config.authority.settings, log)
}
