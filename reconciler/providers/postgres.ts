/** What the reconciler does inside the tenants' Postgres, as the owner, on the direct host. */
import { randomBytes } from "node:crypto"
import { setTimeout as sleep } from "node:timers/promises"
import { Client, DatabaseError, escapeIdentifier as quote, escapeLiteral as literal } from "pg"
import { TerminalError, TransientError } from "../errors.ts"
import { keepSecret, redact } from "../log.ts"
import {
  formatMarker,
  groupRole,
  loginRole,
  type Marker,
  parseMarker,
  type Slot,
  type TenantId,
} from "../tenant.ts"

/** Bounds every wait for a server that is away, waking up or busy; milliseconds. */
const CONNECT_TIMEOUT = 15_000
const STATEMENT_TIMEOUT = 60_000

/** The same server and login, another database. */
export function withDatabase(uri: string, database: string): string {
  const url = new URL(uri)
  url.pathname = `/${encodeURIComponent(database)}`
  return url.href
}

/** The same server and database, a tenant's login. */
export function withLogin(uri: string, role: string, password: string): string {
  const url = new URL(uri)
  url.username = role
  url.password = password
  return url.href
}

/** Runs `task` on a connection of its own, and converts what Postgres says into our errors. */
export async function connected<T>(uri: string, task: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({
    connectionString: uri,
    connectionTimeoutMillis: CONNECT_TIMEOUT,
    statement_timeout: STATEMENT_TIMEOUT,
    application_name: "tenantry-reconciler",
  })
  client.on("error", () => {}) // the query that it breaks reports it
  try {
    await client.connect()
    return await task(client)
  } catch (error) {
    throw postgresError(new URL(uri).pathname.slice(1), error)
  } finally {
    await client.end().catch(() => {})
  }
}

/** SQLSTATEs that pass by themselves: connection, resources, operator's hand, object in use, rivals, catalogue races. */
const PASSING = /^(?:08|53|57|55006|55000|40|XX000)/

function postgresError(database: string, error: unknown): Error {
  if (error instanceof TerminalError || error instanceof TransientError) return error
  const message = redact(error instanceof Error ? error.message : String(error))
  const code = error instanceof DatabaseError ? error.code : undefined
  const said = `database ${decodeURIComponent(database)}: ${message}${code ? ` (${code})` : ""}`
  if (code && !PASSING.test(code)) return new TerminalError("SqlRejected", said)
  return new TransientError("PostgresUnavailable", said)
}

/** The marker of every database of the server, by name; null where a database has none of ours. */
export async function readMarkers(uri: string): Promise<Map<string, Marker | null>> {
  const sql = "select datname, shobj_description(oid, 'pg_database') as comment from pg_database"
  return connected(uri, async (client) => {
    const { rows } = await client.query<{ datname: string; comment: string | null }>(sql)
    return new Map(rows.map(({ datname, comment }) => [datname, parseMarker(comment) ?? null]))
  })
}

/**
 * Makes a database the tenant's own: marker, nothing for PUBLIC, and the roles that may read and write its rows but
 * not change its shape. One transaction; doing it again changes nothing. A database that is not marked yet must be
 * empty, so that what somebody else made under this name is never taken over.
 */
export async function secure(uri: string, marker: Marker): Promise<void> {
  await connected(uri, async (client) => {
    const { rows } = await client.query<{ name: string; comment: string | null; used: boolean }>(
      `select current_database() as name, shobj_description(d.oid, 'pg_database') as comment,
              exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
                       where n.nspname !~ '^pg_' and n.nspname <> 'information_schema') as used
         from pg_database d where datname = current_database()`,
    )
    const { name, comment, used } = rows[0]!
    if (comment === null ? used : comment !== formatMarker(marker)) {
      throw new TerminalError(
        "NameTaken",
        `database ${name} is not this tenant's: rename it, or choose another name`,
      )
    }
    const group = quote(groupRole(marker.tenant))
    const [a, b] = [quote(loginRole(marker.tenant, "a")), quote(loginRole(marker.tenant, "b"))]
    const { rows: roles } = await client.query<{ rolname: string }>(
      "select rolname from pg_roles where rolname like $1",
      [`${groupRole(marker.tenant)}%`],
    )
    const missing = (role: string) => !roles.some(({ rolname }) => quote(rolname) === role)
    await client.query(
      [
        "begin",
        `comment on database ${quote(name)} is ${literal(formatMarker(marker))}`,
        `revoke all on database ${quote(name)} from public`,
        ...(missing(group) ? [`create role ${group} nologin`] : []),
        ...[a, b].filter(missing).map((login) => `create role ${login} nologin in role ${group}`),
        // To end a role's sessions one must be a member of it.
        `grant ${a}, ${b} to current_user`,
        `grant connect on database ${quote(name)} to ${group}`,
        `grant usage on schema public to ${group}`,
        `alter default privileges in schema public grant select, insert, update, delete on tables to ${group}`,
        `alter default privileges in schema public grant usage, select on sequences to ${group}`,
        "commit",
      ].join(";\n"),
    )
  })
}

/** Gives one login role of the tenant a new password, and returns it. The other one keeps what it has. */
export async function renewCredential(
  uri: string,
  id: TenantId,
  slot: Slot,
): Promise<{ role: string; password: string }> {
  const role = loginRole(id, slot)
  const password = randomBytes(32).toString("base64url")
  keepSecret(password)
  await connected(uri, async (client) => {
    await client.query(`alter role ${quote(role)} login password ${literal(password)}`)
  })
  return { role, password }
}

/** Lets the tenant's login role in again, with the password that it has. */
export async function openLogin(uri: string, id: TenantId, slot: Slot): Promise<void> {
  await connected(uri, async (client) => {
    await client.query(`alter role ${quote(loginRole(id, slot))} login`)
  })
}

/**
 * Lets no new session of the tenant in, ends the idle ones at once, gives running transactions `drain` milliseconds,
 * and ends what is left. Returns when no session of any role is on the database.
 */
export async function closeLogins(uri: string, id: TenantId, database: string, drain: number): Promise<void> {
  const [a, b] = [quote(loginRole(id, "a")), quote(loginRole(id, "b"))]
  const deadline = Date.now() + drain
  await connected(uri, async (client) => {
    await client.query(`begin; alter role ${a} nologin; alter role ${b} nologin; commit`)
    for (let wait = 10; ; wait = Math.min(wait * 2, 250)) {
      const force = Date.now() >= deadline
      const { rows } = await client.query<{ open: string }>(
        `with session as (select pid, state from pg_stat_activity where datname = $1 and backend_type = 'client backend'),
              ended as (select pg_terminate_backend(pid) from session where $2 or state = 'idle')
         select (select count(*) from session) as open, (select count(*) from ended)`,
        [database, force],
      )
      if (rows[0]!.open === "0") return
      if (Date.now() > deadline + 10_000) {
        throw new TransientError(
          "SessionsRemain",
          `${rows[0]!.open} sessions on database ${database} do not end`,
        )
      }
      await sleep(wait)
    }
  })
}

/** Drops the tenant's roles; those that are gone already are no error. */
export async function dropRoles(uri: string, id: TenantId): Promise<void> {
  await connected(uri, async (client) => {
    const roles = [loginRole(id, "a"), loginRole(id, "b"), groupRole(id)].map(quote).join(", ")
    await client.query(`drop role if exists ${roles}`)
  })
}
