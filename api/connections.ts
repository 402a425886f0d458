/** Connections to one tenant's database: each is checked to be that tenant's before anything else runs on it. */
import { type ClientBase, Pool, types } from "pg"
import type { Logger } from "../reconciler/log.ts"
import { parseMarker, type TenantId } from "../reconciler/tenant.ts"
import { codeOf } from "./failures.ts"

export type ActiveCredential = { state: "active"; uri: string; fleet: string }

export type ConnectionSettings = {
  /** Most connections to one tenant's database. */
  maxConnections: number
  /** All in milliseconds. */
  connectTimeout: number
  statementTimeout: number
  /** How long an unused connection is kept. */
  idleTimeout: number
}

/** The database answered, but its marker names somebody else, or nobody: nothing may be read from it. */
export class MarkerMismatch extends Error {
  override readonly name = "MarkerMismatch"
}

/**
 * Sets the session's limits and reads the marker, in one round trip. The limits are no start-up parameters because
 * PgBouncer, which Neon's pooled hosts are, refuses those.
 */
const INTRODUCE = `
  select set_config('statement_timeout', $1, false),
         set_config('idle_in_transaction_session_timeout', $1, false),
         shobj_description(oid, 'pg_database') as marker
  from pg_database where datname = current_database()`

/** A pool for `tenant` by this credential. It opens connections only when asked for one. */
export function openPool(
  tenant: TenantId,
  credential: ActiveCredential,
  settings: ConnectionSettings,
  log: Logger,
): Pool {
  const pool = new Pool({
    connectionString: credential.uri,
    max: settings.maxConnections,
    connectionTimeoutMillis: settings.connectTimeout,
    idleTimeoutMillis: settings.idleTimeout,
    // The server's own limit answers first; this one is for a server that does not answer at all.
    query_timeout: settings.statementTimeout + 1000,
    keepAlive: true,
    application_name: "tenantry-api",
    types: { getTypeParser },
    onConnect: (client) => introduce(client, tenant, credential.fleet, settings),
  })
  // Without this listener, and that of each client, a session that the server ends would end the process.
  pool.on("error", (error) =>
    log.debug({ tenant, code: codeOf(error) }, "an idle database session was ended"),
  )
  return pool
}

async function introduce(
  client: ClientBase,
  tenant: TenantId,
  fleet: string,
  settings: ConnectionSettings,
): Promise<void> {
  client.on("error", () => lost.add(client))
  const { rows } = await client.query<{ marker: string | null }>(INTRODUCE, [
    String(settings.statementTimeout),
  ])
  const marker = parseMarker(rows[0]?.marker ?? null)
  if (marker?.tenant === tenant && marker.fleet === fleet) return
  throw new MarkerMismatch(
    `the secret of tenant ${tenant} (fleet ${fleet}) leads to a database that is marked as ${
      marker ? `tenant ${marker.tenant} of fleet ${marker.fleet}` : "nobody's"
    }`,
  )
}

/** Clients whose connection has ended, so that a query on them failed for that reason. */
const lost = new WeakSet<ClientBase>()

/** Whether a query on `client` failed because its session or connection ended, and not because of the query. */
export function isConnectionLost(client: ClientBase, error: unknown): boolean {
  return lost.has(client) || /^(?:08|57P0|25P0[34]|E[A-Z]{3,}$)/.test(codeOf(error) ?? "")
}

const NUMBERS = new Set<number>([types.builtins.INT8, types.builtins.NUMERIC])

/**
 * int8 and numeric arrive as numbers. Identity values stay below 2^53. Money is numeric(12,2): at most 12 digits, and
 * a double keeps 15, so its shortest decimal form is the very one that is stored. The same holds for sums below 10^13.
 */
const getTypeParser: typeof types.getTypeParser = ((oid: number, format?: "text") =>
  NUMBERS.has(oid) ? Number : types.getTypeParser(oid, format)) as typeof types.getTypeParser
