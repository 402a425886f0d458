/** The databases and roles as the API shows them: Postgres's own catalogue, with the ids and dates it does not keep. */
import { CONTROL_DATABASE, type Queryable, queryInTurn } from "./control.ts"
import { NEON_SUPERUSER } from "./cell.ts"

type State = "creating" | "ready" | "deleting"

export type DatabaseRow = {
  key: number
  id: number
  name: string
  owner: string
  state: State
  createdAt: Date
  updatedAt: Date
}

export type RoleRow = {
  name: string
  password: string | null
  state: State
  createdAt: Date
  updatedAt: Date
}

/** Names that no API call may create, change or delete. */
export const PROTECTED_DATABASES = ["postgres", "template0", "template1", CONTROL_DATABASE]

const isTenantDatabase = `not p.datistemplate and p.datname not in ('postgres', '${CONTROL_DATABASE}')`
const isTenantRole = `p.rolname not like 'pg\\_%' and p.rolname not in ('postgres', '${NEON_SUPERUSER}')`

const DATABASE_COLUMNS = `key::float8 as key, id::float8 as id, name, owner, state,
  created_at as "createdAt", updated_at as "updatedAt"`

/** One call at a time brings the records into step: two could wait for each other's rows. The number is arbitrary. */
const ONE_AT_A_TIME = "select pg_advisory_xact_lock(7316002)"

/**
 * All databases of the branch, oldest first. One made by SQL gets an id here, one dropped by SQL is forgotten here;
 * one whose deletion is under way stays until that has ended.
 */
export const listDatabases = (client: Queryable): Promise<DatabaseRow[]> =>
  queryInTurn<DatabaseRow>(
    client,
    ONE_AT_A_TIME,
    "delete from databases d where state = 'ready' and not exists (select from pg_database p where p.oid = d.oid)",
    `insert into databases (oid, name, owner)
     select p.oid, p.datname, pg_get_userbyid(p.datdba) from pg_database p
     where ${isTenantDatabase} and not exists (
       select from databases d where d.oid = p.oid or (d.oid is null and d.name = p.datname))
     order by p.oid on conflict (oid) do nothing`,
    `update databases d set name = p.datname, owner = pg_get_userbyid(p.datdba), updated_at = now()
     from pg_database p
     where p.oid = d.oid and (d.name, d.owner) is distinct from (p.datname::text, pg_get_userbyid(p.datdba)::text)`,
    `select ${DATABASE_COLUMNS} from databases order by databases.key`,
  )

/** Records a database that is to be made. */
export async function addDatabase(client: Queryable, name: string, owner: string): Promise<DatabaseRow> {
  const { rows } = await client.query<DatabaseRow>(
    `insert into databases (name, owner, state) values ($1, $2, 'creating') returning ${DATABASE_COLUMNS}`,
    [name, owner],
  )
  return rows[0]!
}

/** All roles of the branch but the system's own, oldest first; kept in step with SQL like the databases. */
export const listRoles = (client: Queryable): Promise<RoleRow[]> =>
  queryInTurn<RoleRow>(
    client,
    ONE_AT_A_TIME,
    "delete from roles r where state = 'ready' and not exists (select from pg_roles p where p.oid = r.oid)",
    `insert into roles (oid, name)
     select p.oid, p.rolname from pg_roles p
     where ${isTenantRole} and not exists (
       select from roles r where r.oid = p.oid or (r.oid is null and r.name = p.rolname))
     order by p.oid on conflict (oid) do nothing`,
    `update roles r set name = p.rolname, updated_at = now() from pg_roles p
     where p.oid = r.oid and r.name is distinct from p.rolname::text`,
    `select name, password, state, created_at as "createdAt", updated_at as "updatedAt" from roles order by key`,
  )

/** Whether the list would show a database of that very name, without the cost of the list. */
export async function hasDatabase(client: Queryable, name: string): Promise<boolean> {
  const { rowCount } = await client.query(
    `select from pg_database p where ${isTenantDatabase} and p.datname = $1::text
     union all select from databases where name = $1 and state <> 'ready'`,
    [name],
  )
  return rowCount !== 0
}

/** The role of that very name, as the list would show it; its password is null where the API did not give it. */
export async function findRole(
  client: Queryable,
  name: string,
): Promise<{ password: string | null } | undefined> {
  const { rows } = await client.query<{ password: string | null }>(
    `select r.password from pg_roles p left join roles r on r.oid = p.oid
     where ${isTenantRole} and p.rolname = $1::text
     union all select password from roles where name = $1 and state <> 'ready' limit 1`,
    [name],
  )
  return rows[0]
}
