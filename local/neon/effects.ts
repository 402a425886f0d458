/** What the API's changes do to Postgres. Each can be repeated, so that one cut short is finished by the next start. */
import { Client, DatabaseError, escapeLiteral } from "pg"
import { API_ROLE_ATTRIBUTES, NEON_SUPERUSER, quoteName } from "./cell.ts"
import { type Control, type Queryable, queryInTurn } from "./control.ts"

/** Databases and roles are named by their key in the control database, which outlives a rename. */
export type Effect =
  | { kind: "create-database"; key: number }
  | { kind: "update-database"; key: number; name: string; owner: string }
  | { kind: "delete-database"; key: number }
  | { kind: "create-role"; name: string; login: boolean }
  | { kind: "reset-password"; name: string; password: string }
  | { kind: "delete-role"; name: string }

type Found = {
  recorded: number | null
  oid: number | null
  name: string
  owner: string
  current: string | null
}

/** Carries out a change. Throws Postgres's error when it refuses, for instance to rename a database in use. */
export async function carryOut(effect: Effect, control: Control, superuserUri: string): Promise<void> {
  switch (effect.kind) {
    case "create-database":
      return createDatabase(effect.key, control)
    case "update-database":
      return control.transaction((client) => updateDatabase(effect, client))
    case "delete-database":
      return deleteDatabase(effect.key, control)
    case "create-role":
      return control.transaction((client) => createRole(effect, client))
    case "reset-password":
      return control.transaction((client) => resetPassword(effect, client))
    case "delete-role":
      return deleteRole(effect.name, control, superuserUri)
  }
}

/**
 * Makes the records agree with what Postgres now holds, in the transaction that ends the last operation: a new
 * database opens for connections, a deleted one leaves the list, and one whose creation failed does too.
 */
export async function settle(effect: Effect, client: Queryable): Promise<void> {
  switch (effect.kind) {
    case "create-database":
    case "delete-database": {
      const found = await findDatabase(effect.key, client)
      if (!found?.current) {
        await client.query("delete from databases where key = $1", [effect.key])
        return
      }
      await queryInTurn(
        client,
        ...(effect.kind === "create-database" ? opening(found.current) : []),
        `update databases set state = 'ready', oid = ${found.oid} where key = ${effect.key}`,
      )
      return
    }
    case "create-role":
    case "delete-role":
      await client.query(
        "delete from roles r where name = $1 and not exists (select from pg_roles p where p.oid = r.oid)",
        [effect.name],
      )
      await client.query("update roles set state = 'ready' where name = $1", [effect.name])
      return
    case "update-database":
    case "reset-password":
      return
  }
}

/**
 * A record and the database of it. One that is being made has no oid in its record until it is settled; its database is
 * the closed one of its name. What SQL opens, renames or drops until then is SQL's: it is listed as a new one, or made anew.
 */
async function findDatabase(key: number, client: Queryable): Promise<Found | undefined> {
  const { rows } = await client.query<Found>(
    `select d.oid as recorded, p.oid, d.name, d.owner, p.datname as current
     from databases d left join pg_database p
       on p.oid = d.oid or (d.oid is null and p.datname = d.name and not p.datallowconn)
     where d.key = $1`,
    [key],
  )
  return rows[0]
}

const opening = (name: string): string[] => [
  `grant all privileges on database ${quoteName(name)} to ${NEON_SUPERUSER}`,
  `alter database ${quoteName(name)} allow_connections true`,
]

/** The error that Postgres itself would give. */
function missing(name: string): DatabaseError {
  const message = `database "${name}" does not exist`
  return Object.assign(new DatabaseError(message, message.length, "error"), { code: "3D000" })
}

/** It is made closed, with `allow_connections false`: that also tells it from one that somebody else made meanwhile. */
async function createDatabase(key: number, { pool }: Control): Promise<void> {
  const found = await findDatabase(key, pool)
  if (found === undefined || found.recorded !== null || found.current !== null) return
  const { name, owner } = found
  try {
    await pool.query(
      `create database ${quoteName(name)} owner ${quoteName(owner)} template template0 allow_connections false`,
    )
  } catch (error) {
    // The statement of a server killed meanwhile may have gone on and made it first.
    const isDuplicate = error instanceof DatabaseError && ["42P04", "23505"].includes(error.code ?? "")
    if (!isDuplicate || !(await findDatabase(key, pool))?.current) throw error
  }
}

/** Plain ALTER DATABASE: Postgres waits 5 s for other sessions to leave, and then refuses a rename. */
async function updateDatabase(
  effect: Extract<Effect, { kind: "update-database" }>,
  client: Queryable,
): Promise<void> {
  const found = await findDatabase(effect.key, client)
  if (!found?.current) throw missing(found?.name ?? effect.name)
  if (found.current !== effect.name) {
    await client.query(`alter database ${quoteName(found.current)} rename to ${quoteName(effect.name)}`)
  }
  await client.query(`alter database ${quoteName(effect.name)} owner to ${quoteName(effect.owner)}`)
  await client.query("update databases set name = $2, owner = $3, updated_at = now() where key = $1", [
    effect.key,
    effect.name,
    effect.owner,
  ])
}

async function deleteDatabase(key: number, control: Control): Promise<void> {
  const found = await findDatabase(key, control.pool)
  if (found?.current)
    await control.pool.query(`drop database if exists ${quoteName(found.current)} with (force)`)
}

async function createRole(
  effect: Extract<Effect, { kind: "create-role" }>,
  client: Queryable,
): Promise<void> {
  const { rows } = await client.query<{ oid: number | null; password: string | null }>(
    "select oid, password from roles where name = $1",
    [effect.name],
  )
  if (rows[0] === undefined || rows[0].oid !== null) return
  const login = effect.login ? `login password ${escapeLiteral(rows[0].password ?? "")}` : "nologin"
  await client.query(`create role ${quoteName(effect.name)} ${login} ${API_ROLE_ATTRIBUTES}`)
  await client.query(
    "update roles r set oid = p.oid from pg_roles p where p.rolname = r.name and r.name = $1",
    [effect.name],
  )
}

async function resetPassword(
  effect: Extract<Effect, { kind: "reset-password" }>,
  client: Queryable,
): Promise<void> {
  await client.query(`alter role ${quoteName(effect.name)} login password ${escapeLiteral(effect.password)}`)
  await client.query("update roles set password = $2, updated_at = now() where name = $1", [
    effect.name,
    effect.password,
  ])
}

/** What the role owns in each database goes to that database's owner first, as on Neon. */
async function deleteRole(name: string, control: Control, superuserUri: string): Promise<void> {
  const exists = await control.pool.query("select from pg_roles where rolname = $1", [name])
  if (exists.rowCount === 0) return
  const { rows } = await control.pool.query<{ datname: string; owner: string }>(
    "select datname, pg_get_userbyid(datdba) as owner from pg_database where datallowconn and datname <> 'template1'",
  )
  for (const { datname, owner } of rows) {
    const uri = new URL(superuserUri)
    uri.pathname = `/${encodeURIComponent(datname)}`
    const client = new Client({ connectionString: uri.href })
    client.on("error", () => {}) // the query under way reports it
    await client.connect()
    try {
      await client.query(
        `reassign owned by ${quoteName(name)} to ${quoteName(owner)}; drop owned by ${quoteName(name)}`,
      )
    } finally {
      await client.end()
    }
  }
  await control.pool.query(`drop role if exists ${quoteName(name)}`)
}
