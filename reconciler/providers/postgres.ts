/** What the reconciler does inside the tenants' Postgres, as the owner, on the direct host. */
import { randomBytes } from "node:crypto"
import { setTimeout as sleep } from "node:timers/promises"
import { Client, DatabaseError, escapeIdentifier as quote, escapeLiteral as literal } from "pg"
import { TerminalError, TransientError } from "../errors.ts"
import { observeCall } from "../calls.ts"
import { keepMadeSecret, redact } from "../log.ts"
import {
  formatMarker,
  groupRole,
  loginRole,
  type Marker,
  otherSlot,
  parseMarker,
  secretName,
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

/** For the metrics: a session that ends well, or the code that Postgres or the system gave. */
const READING = {
  done: () => "ok",
  failed: (error: unknown) => {
    if (error instanceof TerminalError || error instanceof TransientError) return error.reason
    const code = error instanceof Error && "code" in error ? error.code : undefined
    return typeof code === "string" ? code : undefined
  },
}

type Task<T> = (client: Client) => Promise<T>
/** A session that several tasks share, one after the other. */
export type Session = { run: <T>(task: Task<T>) => Promise<T> }
/** Where SQL goes: a connection string, for a session of its own, or a session that there is. */
export type Target = string | Session

/** Runs `task` in a session, and converts what Postgres says into our errors. */
export async function connected<T>(target: Target, task: Task<T>): Promise<T> {
  return typeof target === "string"
    ? inOneSession(
        async () => target,
        async (session) => session.run(task),
      )
    : target.run(task)
}

/**
 * Runs `work`, whose tasks share a session as if each had its own: what one sets, locks or prepares, the next one does not
 * meet. The first task opens it; where a task fails, no other may follow. Converts what Postgres says into our errors.
 */
export async function inOneSession<T>(
  uri: () => Promise<string>,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  let client: Client | undefined
  let said: unknown
  const run: Session["run"] = async (task) => {
    const isOpen = client !== undefined
    client ??= createClient(await uri())
    try {
      await (isOpen ? forget(client) : client.connect())
      return await task(client)
    } catch (error) {
      said = error
      throw error
    }
  }
  try {
    return await observeCall("postgres", "session", READING, async () => work({ run }))
  } catch (error) {
    throw client && error === said ? postgresError(client.database ?? "", error) : error
  } finally {
    await client?.end().catch(() => {})
  }
}

/** Leaves the session as a new one is, be a transaction still open or not. */
async function forget(client: Client): Promise<void> {
  if (client.getTransactionStatus() !== "I") await client.query("rollback")
  await client.query("discard all")
}

function createClient(uri: string): Client {
  const client = new Client({
    connectionString: uri,
    connectionTimeoutMillis: CONNECT_TIMEOUT,
    statement_timeout: STATEMENT_TIMEOUT,
    application_name: "tenantry-reconciler",
  })
  client.on("error", () => {}) // the query that it breaks reports it
  return client
}

/** SQLSTATEs that pass by themselves: connection, resources, operator's hand, object in use, rivals, catalogue races. */
const PASSING = /^(?:08|53|57|55006|55000|40|XX000|3D000)/

function postgresError(database: string, error: unknown): Error {
  if (error instanceof TerminalError || error instanceof TransientError) return error
  const message = redact(error instanceof Error ? error.message : String(error))
  const code = error instanceof DatabaseError ? error.code : undefined
  const said = `database ${database}: ${message}${code ? ` (${code})` : ""}`
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
 * Writes the marker on a database that has none, as a person decided; where it has this very marker, an import was cut
 * short and goes on. Throws TerminalError where it has another comment.
 */
export async function adopt(uri: string, marker: Marker): Promise<void> {
  await connected(uri, async (client) => {
    const { rows } = await client.query<{ name: string; comment: string | null; is_owner: boolean }>(
      `select datname as name, shobj_description(oid, 'pg_database') as comment,
              pg_has_role(datdba, 'usage') as is_owner
         from pg_database where datname = current_database()`,
    )
    const { name, comment, is_owner: isOwner } = rows[0]!
    if (comment !== null && comment !== formatMarker(marker))
      throw new TerminalError("NameTaken", `database ${name} has a comment already: ${comment}`)
    if (!isOwner)
      throw new TerminalError("NotOwner", `database ${name} belongs to another role: change its owner first`)
    await client.query(`comment on database ${quote(name)} is ${literal(formatMarker(marker))}`)
  })
}

/**
 * Makes a database the tenant's own: marker, nothing for PUBLIC, and the roles that may read and write its rows but
 * not change its shape. One transaction; doing it again changes nothing. A database that is not marked yet must be
 * empty, so that what somebody else made under this name is never taken over.
 */
export async function secure(target: Target, marker: Marker): Promise<void> {
  await connected(target, async (client) => {
    const { rows } = await client.query<{ name: string; comment: string | null; used: boolean }>(
      `select current_database() as name, shobj_description(d.oid, 'pg_database') as comment,
              exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
                       where n.nspname !~ '^pg_' and n.nspname <> 'information_schema') as used
         from pg_database d where datname = current_database()`,
    )
    const { name, comment, used } = rows[0]!
    if (comment !== null && comment !== formatMarker(marker)) {
      throw new TerminalError(
        "NameTaken",
        `database ${name} is another's (${comment}): rename it, or choose another name`,
      )
    }
    if (comment === null && used) {
      const remedy = `move it away, or delete the secret ${secretName(marker.tenant)}, which reserves its name, and choose another`
      throw new TerminalError(
        "NameTaken",
        `database ${name} holds somebody's tables and has no marker: ${remedy}`,
      )
    }
    const group = quote(groupRole(marker.tenant))
    const [a, b] = [quote(loginRole(marker.tenant, "a")), quote(loginRole(marker.tenant, "b"))]
    const { rows: roles } = await client.query<{ rolname: string; comment: string | null }>(
      "select rolname, shobj_description(oid, 'pg_authid') as comment from pg_roles where rolname like $1",
      [`${groupRole(marker.tenant)}%`],
    )
    // Roles belong to the whole server, and another fleet may have a tenant of the same id.
    const stranger = roles.find((role) =>
      role.comment === null ? comment === null : role.comment !== formatMarker(marker),
    )
    if (stranger) {
      const whose = stranger.comment ?? "it has no marker"
      throw new TerminalError(
        "RoleTaken",
        `role ${stranger.rolname} is not this fleet's (${whose}): give the tenant another id, or drop the role`,
      )
    }
    const missing = (role: string) => !roles.some(({ rolname }) => quote(rolname) === role)
    await client.query(
      [
        "begin",
        `comment on database ${quote(name)} is ${literal(formatMarker(marker))}`,
        `revoke all on database ${quote(name)} from public`,
        ...(missing(group) ? [`create role ${group} nologin`] : []),
        ...[a, b].filter(missing).map((login) => `create role ${login} nologin in role ${group}`),
        ...[group, a, b].map((role) => `comment on role ${role} is ${literal(formatMarker(marker))}`),
        // To end a role's sessions one must be a member of it.
        `grant ${a}, ${b} to current_user`,
        `grant connect on database ${quote(name)} to ${group}`,
        `grant usage on schema public to ${group}`,
        `grant select, insert, update, delete on all tables in schema public to ${group}`,
        `grant usage, select on all sequences in schema public to ${group}`,
        `alter default privileges in schema public grant select, insert, update, delete on tables to ${group}`,
        `alter default privileges in schema public grant usage, select on sequences to ${group}`,
        "commit",
      ].join(";\n"),
    )
  })
}

/**
 * Gives one login role of the tenant a new password, and returns it. The other one keeps what it has, or with
 * `exclusive` lets no new session in.
 */
export async function renewCredential(
  target: Target,
  id: TenantId,
  { slot, exclusive }: { slot: Slot; exclusive: boolean },
): Promise<{ role: string; password: string }> {
  const role = loginRole(id, slot)
  const password = randomBytes(32).toString("base64url")
  keepMadeSecret(password)
  const statements = [
    `alter role ${quote(role)} login password ${literal(password)}`,
    ...(exclusive ? [`alter role ${quote(loginRole(id, otherSlot(slot)))} nologin`] : []),
  ]
  await connected(target, async (client) => {
    await client.query(["begin", ...statements, "commit"].join("; "))
  })
  return { role, password }
}

/** Closes the database to the tenant, and returns when no session of any role is on it; see `closeLogins`. */
export async function closeDatabase(
  uri: string,
  id: TenantId,
  database: string,
  patience: number,
): Promise<void> {
  const roles = [loginRole(id, "a"), loginRole(id, "b")]
  await closeLogins(uri, roles, patience, "datname = $1", database)
}

/** Closes one login of the tenant, and returns when no session of it is left; see `closeLogins`. */
export async function closeLogin(uri: string, id: TenantId, slot: Slot, patience: number): Promise<void> {
  const role = loginRole(id, slot)
  await closeLogins(uri, [role], patience, "usename = $1", role)
}

/**
 * Lets no new session in, ends idle ones at once, gives running transactions `patience` milliseconds, and ends what is
 * left. Throws TransientError where sessions do not end.
 */
async function closeLogins(
  uri: string,
  roles: string[],
  patience: number,
  which: string,
  value: string,
): Promise<void> {
  const deadline = Date.now() + patience
  await connected(uri, async (client) => {
    await client.query(
      ["begin", ...roles.map((role) => `alter role ${quote(role)} nologin`), "commit"].join("; "),
    )
    for (let wait = 10; ; wait = Math.min(wait * 2, 250)) {
      const force = Date.now() >= deadline
      const { rows } = await client.query<{ open: string }>(
        `with session as (select pid, state, coalesce(rolsuper, false) as is_super
                            from pg_stat_activity left join pg_roles on rolname = usename
                           where ${which} and backend_type = 'client backend' and pid <> pg_backend_pid()),
              ended as (select pg_terminate_backend(pid) from session where not is_super and ($2 or state = 'idle'))
         select (select count(*) from session) as open, (select count(*) from ended)`,
        [value, force],
      )
      const { open } = rows[0]!
      if (open === "0") return
      if (Date.now() > deadline + 10_000) {
        throw new TransientError(
          "SessionsRemain",
          `${open} sessions (${which.split(" ")[0]} ${value}) do not end`,
        )
      }
      await sleep(wait)
    }
  })
}

/**
 * Drops the tenant's roles, with the rights that they have on the database that `uri` leads to; those that are gone
 * already are no error.
 */
export async function dropRoles(uri: string, id: TenantId): Promise<void> {
  await connected(uri, async (client) => {
    const names = [loginRole(id, "a"), loginRole(id, "b"), groupRole(id)]
    const { rows } = await client.query<{ rolname: string }>(
      "select rolname from pg_roles where rolname = any($1)",
      [names],
    )
    if (rows.length === 0) return
    const roles = rows.map(({ rolname }) => quote(rolname)).join(", ")
    await client.query(`begin; drop owned by ${roles}; drop role ${roles}; commit`)
  })
}
