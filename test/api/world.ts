/** A real Postgres with tenants' databases in it, and the API before them on a real port. */
import { randomBytes, randomUUID } from "node:crypto"
import { once } from "node:events"
import { mkdtemp, readdir, readFile } from "node:fs/promises"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import path from "node:path"
import { Client } from "pg"
import { createApp } from "../../api/app.ts"
import { type Authenticate, believeEverybody } from "../../api/caller.ts"
import { assertMarker, type Connection, openConnection } from "../../api/connections.ts"
import { cacheCredentials, type CredentialCacheOptions } from "../../api/credentials.ts"
import { openDatabases } from "../../api/databases.ts"
import { createDirectory, type DirectoryOptions, type NamedTenant } from "../../api/directory.ts"
import { openFleet } from "../../api/fleet.ts"
import { createHeadStarts } from "../../api/head-start.ts"
import { watchReadiness } from "../../api/health.ts"
import { createPools, type PoolSettings } from "../../api/pools.ts"
import type { RateLimit } from "../../api/rate.ts"
import { createApiServer, LIMITS } from "../../api/server.ts"
import type { TenantSettings } from "../../api/which-tenant.ts"
import { removePostgres } from "../../local/postgres.ts"
import { createLogger, type Logger } from "../../reconciler/log.ts"
import type { Credential, CredentialReader } from "../../reconciler/providers/vault.ts"
import { startTestPostgres } from "../postgres.ts"
import { formatMarker, groupRole, loginRole, TenantId } from "../../reconciler/tenant.ts"

export const FLEET = "test-fleet"
const MIGRATIONS = path.resolve(import.meta.dirname, "../../migrations")

export type TestTenant = { id: TenantId; database: string; password: string; uri: string }
/** What the vault says of a tenant; an Error is thrown instead. */
export type FakeVault = Map<TenantId, Credential | Error>
export type World = Awaited<ReturnType<typeof startWorld>>

/** A connection to where `uri` leads, opened and checked as the API does it. */
export const connectTo = ({ id }: TestTenant, uri: string): Promise<Connection> =>
  openConnection(
    id,
    { state: "active", uri, fleet: FLEET },
    { connectTimeout: 5000, statementTimeout: 5000, checkMarker: assertMarker },
  )

export const newTenantId = (): TenantId => TenantId.parse(randomUUID())

/** Nothing here outlives its test, and what a password costs to guess does not matter. */
const SETTINGS = { fsync: "off", full_page_writes: "off", scram_iterations: "1" }

/** Starts the server; call `close` at the end. */
export async function startWorld() {
  const directory = await mkdtemp(path.join(tmpdir(), "tenantry-api-"))
  const start = () => startTestPostgres({ directory, settings: SETTINGS })
  let postgres = await start()
  let admin = await adminOf(postgres.superuserUri)
  const vault: FakeVault = new Map()

  const at = (database: string, user: string, password: string) =>
    `postgres://${user}:${password}@${postgres.host}:${postgres.port}/${encodeURIComponent(database)}`

  async function sql<Row = Record<string, unknown>>(database: string, text: string): Promise<Row[]> {
    const uri = new URL(postgres.superuserUri)
    uri.pathname = `/${encodeURIComponent(database)}`
    const client = new Client({ connectionString: uri.href })
    await client.connect()
    try {
      return (await client.query(text)).rows as Row[]
    } finally {
      await client.end()
    }
  }

  /** Runs `text` in a transaction that stays open until released. */
  async function hold(database: string, text: string) {
    const uri = new URL(postgres.superuserUri)
    uri.pathname = `/${encodeURIComponent(database)}`
    const client = await adminOf(uri.href)
    await client.query(`begin; ${text}`)
    return { release: () => client.end() }
  }

  /** How many sessions of a database wait for a lock. */
  const waiters = async (database: string): Promise<number> => {
    const { rows } = await admin.query<{ n: number }>(
      `select count(*)::int as n from pg_stat_activity where datname = '${database}' and wait_event_type = 'Lock'`,
    )
    return rows[0]!.n
  }

  /** A database as the reconciler makes one: marked, closed to others, its role may change data only. */
  async function addTenant(name: string, { seed = false } = {}): Promise<TestTenant> {
    const id = newTenantId()
    const database = `products-${name}`
    const password = randomBytes(18).toString("base64url")
    const group = groupRole(id)
    const login = loginRole(id, "a")
    await admin.query(`create database "${database}"`)
    await admin.query(`comment on database "${database}" is '${formatMarker({ fleet: FLEET, tenant: id })}'`)
    await admin.query(`revoke all on database "${database}" from public`)
    await admin.query(`create role "${group}" nologin`)
    await admin.query(`create role "${login}" login password '${password}' in role "${group}"`)
    await admin.query(`grant connect on database "${database}" to "${group}"`)
    const steps = [
      ...(await migrations()),
      ...(seed ? [await readFile(`${MIGRATIONS}/seeds/demo.sql`, "utf8")] : []),
    ]
    await sql(
      database,
      `${steps.join("\n")}; grant select, insert, update, delete on all tables in schema public to "${group}"`,
    )
    const uri = at(database, login, password)
    vault.set(id, { state: "active", uri, fleet: FLEET })
    return { id, database, password, uri }
  }

  return {
    /** A superuser's session. */
    get admin() {
      return admin
    },
    vault,
    sql,
    hold,
    waiters,
    addTenant,
    uriOf: (tenant: TestTenant, database = tenant.database, password = tenant.password) =>
      at(database, loginRole(tenant.id, "a"), password),
    serve: (options: ServeOptions = {}) => serve(vault, options),
    /** Stops the server, ending every session, and starts it again on the same port. */
    async restart() {
      await admin.end()
      await postgres.stop()
      postgres = await start()
      admin = await adminOf(postgres.superuserUri)
    },
    async close() {
      await admin.end()
      await postgres.stop()
      await removePostgres(directory)
    },
  }
}

async function adminOf(connectionString: string): Promise<Client> {
  const client = new Client({ connectionString })
  client.on("error", () => {}) // the next query reports it
  await client.connect()
  return client
}

/** The up part of every migration, in order. */
async function migrations(): Promise<string[]> {
  const files = (await readdir(MIGRATIONS)).filter((file) => /^\d.*\.sql$/.test(file)).sort()
  const texts = await Promise.all(files.map((file) => readFile(path.join(MIGRATIONS, file), "utf8")))
  return texts.map((text) => text.split(/^-- tenantry: down$/m)[0]!)
}

type ServeOptions = {
  pools?: Partial<PoolSettings>
  cache?: Partial<Pick<CredentialCacheOptions, "refused" | "reserved">>
  patience?: number
  headStartLife?: number
  readVault?: CredentialReader
  listTenants?: () => Promise<NamedTenant[]>
  directory?: Partial<DirectoryOptions>
  tenants?: Partial<TenantSettings>
  authenticate?: (log: Logger) => Authenticate
  callerRate?: RateLimit
  tenantRate?: RateLimit
  origins?: string[]
  /** The tenants folder. */
  folder?: string
  /** The folder of migrations; the project's own where none is given. */
  migrations?: string
}
export type Api = Awaited<ReturnType<typeof serve>>
export type Answer = { status: number; headers: Headers; body: any } // oxlint-disable-line typescript/no-explicit-any -- tests look into JSON of every shape

const now = () => performance.now()
/** Of the log, kept for tests to look at. */
const MOST_LINES = 10_000

async function serve(vault: FakeVault, options: ServeOptions) {
  const logged: string[] = []
  const log = createLogger("api", (line) => {
    if (logged.length === MOST_LINES) logged.shift()
    logged.push(line)
  })
  let vaultReads = 0
  const listed = { calls: 0 }
  const readFake: CredentialReader = (id) => {
    const said = vault.get(id)
    return said instanceof Error ? Promise.reject(said) : Promise.resolve(said)
  }
  const readVault: CredentialReader = (id) => {
    vaultReads++
    return (options.readVault ?? readFake)(id)
  }
  const directory = createDirectory(
    () => {
      listed.calls++
      return (options.listTenants ?? (() => Promise.resolve([])))()
    },
    {
      now,
      interval: 600_000,
      missInterval: 0,
      patience: 5000,
      domains: options.tenants?.hostSuffixes ?? [],
      ...options.directory,
    },
    log,
  )
  const headStarts = createHeadStarts({
    knownById: directory.knownById,
    reserve: (...session) => pools.reserve(...session),
    connectTimeout: 60_000,
    life: options.headStartLife ?? 60_000,
    statementTimeout: options.pools?.statementTimeout ?? 10_000,
  })
  const credentials = cacheCredentials(headStarts.beside(readVault), {
    now,
    capacity: 1000,
    maxReads: 100,
    sliding: 1_800_000,
    absolute: 28_800_000,
    jitter: 0.1,
    refused: { atMost: 30_000, recheck: 250 },
    reserved: { atMost: 1000, recheck: 50 },
    patience: 5000,
    stalePatience: 500,
    holdOff: 5000,
    ...options.cache,
  })
  const pools = createPools(
    {
      maxConnections: 4,
      budget: 40,
      maxWaiting: 1000,
      maxWaitingTotal: 5000,
      wait: 10_000,
      connectTimeout: 5000,
      statementTimeout: 10_000,
      checkMarker: assertMarker,
      idleTimeout: 30_000,
      learn: headStarts.learn,
      ...options.pools,
    },
    log,
  )
  const databases = openDatabases({ credentials, pools, log, patience: options.patience ?? 10_000 })
  const readiness = watchReadiness(() => readVault(newTenantId()), { now, interval: 0, patience: 5000 })
  // A client that was starved of time must not meet a connection that is just being closed for idleness.
  const server = createApiServer(
    createApp({
      tenants: { sources: new Set(["header"]), header: "X-TenantId", hostSuffixes: [], ...options.tenants },
      directory,
      fleet: openFleet({
        folder: options.folder,
        migrations: options.migrations ?? MIGRATIONS,
        directory,
        forget: (tenant) => credentials.read(tenant, 0),
        isByName: options.tenants?.sources?.has("path") ?? false,
        ownDomains: options.tenants?.hostSuffixes ?? [],
        readCredential: readVault,
        interval: 5,
        isEnding: readiness.isDraining,
      }),
      isSecured: options.authenticate !== undefined,
      authenticate: options.authenticate?.(log) ?? believeEverybody,
      callerRate: options.callerRate ?? (() => {}),
      tenantRate: options.tenantRate ?? (() => {}),
      databases,
      origins: new Set(options.origins),
      proxies: 0,
      readiness,
      log,
    }),
    { ...LIMITS, idle: 600_000 },
  )
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  async function send(target: string, init: RequestInit = {}): Promise<Answer> {
    const response = await fetch(url + target, init)
    const text = await response.text()
    return {
      status: response.status,
      headers: response.headers,
      body: text === "" ? undefined : JSON.parse(text),
    }
  }

  return {
    url,
    logged,
    credentials,
    pools,
    directory,
    databases,
    readiness,
    vaultReads: () => vaultReads,
    /** How often the tenants were listed. */
    lists: () => listed.calls,
    send,
    /** A request of this tenant; a body is sent as JSON. */
    call: (
      tenant: { id: string },
      method: string,
      target: string,
      body?: unknown,
      headers: Record<string, string> = {},
    ): Promise<Answer> =>
      send(target, {
        method,
        headers: {
          "X-TenantId": tenant.id,
          ...headers,
          ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    async close() {
      directory.close()
      server.closeAllConnections()
      server.close()
      await pools.close()
    },
  }
}
