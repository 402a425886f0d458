/** A project, its branch and its endpoint, on a Postgres of its own, with Neon's roles and the first database. */
import { randomBytes } from "node:crypto"
import { escapeIdentifier, escapeLiteral } from "pg"
import type { Control, Queryable } from "./control.ts"

export type Cell = {
  projectId: string
  /** Changes when the branch is replaced, as a restored snapshot does. */
  branchId: string
  branchChangedAt: Date
  endpointId: string
  owner: string
  createdAt: Date
  /** Where Postgres listens. */
  host: string
  port: number
}

export type CellOptions = {
  postgres: { host: string; port: number }
  projectId?: string | undefined
  branchId?: string | undefined
  owner?: string | undefined
  ownerPassword?: string | undefined
}

/** The database that a new Neon project has. */
const DEFAULT_DATABASE = "neondb"

/** The group that every role made by the API belongs to. */
export const NEON_SUPERUSER = "neon_superuser"

/**
 * What Neon's compute gives to a role made by the API (neondatabase/neon, compute_tools/src/spec_apply.rs): no
 * superuser, yet it reads and writes every database.
 */
export const API_ROLE_ATTRIBUTES = `inherit createrole createdb bypassrls replication in role ${NEON_SUPERUSER}`

/** Enough for the 60 bits of entropy that Neon asks for. */
export const newPassword = (): string => `npg_${randomBytes(18).toString("base64url")}`

export const quoteName = (name: string): string => escapeIdentifier(name)

/** Makes whatever is missing of the cell and returns it; repeating this changes nothing. */
export async function prepareCell(control: Control, options: CellOptions): Promise<Cell> {
  const cell = await control.transaction(async (client) => {
    const identity = await rememberIdentity(client, options)
    await ensureNeonSuperuser(client)
    await ensureOwner(client, identity.owner, options.ownerPassword)
    return identity
  })
  await ensureDefaultDatabase(control, cell.owner)
  const { host, port } = options.postgres
  return { ...cell, endpointId: `ep-${cell.projectId}`, host, port }
}

type Identity = Pick<Cell, "projectId" | "branchId" | "branchChangedAt" | "owner" | "createdAt">

/** Once made, the cell keeps its identity. A branch may have been replaced since, so its id is not compared. */
async function rememberIdentity(client: Queryable, options: CellOptions): Promise<Identity> {
  await client.query(
    "insert into cell (project_id, branch_id, owner) values ($1, $2, $3) on conflict do nothing",
    [
      options.projectId ?? "tenantry-local",
      options.branchId ?? "br-tenantry-local",
      options.owner ?? "tenantry_owner",
    ],
  )
  const { rows } = await client.query<Identity>(`
    select project_id as "projectId", branch_id as "branchId", owner, created_at as "createdAt",
           branch_changed_at as "branchChangedAt"
    from cell`)
  const identity = rows[0]!
  for (const key of ["projectId", "owner"] as const) {
    if (options[key] !== undefined && options[key] !== identity[key]) {
      throw new Error(
        `this Postgres already holds a cell whose ${key} is "${identity[key]}", not "${options[key]}": start with that one, or with empty data`,
      )
    }
  }
  return identity
}

async function ensureNeonSuperuser(client: Queryable): Promise<void> {
  if (await roleExists(client, NEON_SUPERUSER)) return
  await client.query(`
    create role ${NEON_SUPERUSER} nologin createdb createrole replication bypassrls
      in role pg_read_all_data, pg_write_all_data, pg_create_subscription;
    grant pg_monitor, pg_signal_backend to ${NEON_SUPERUSER} with admin option`)
}

async function ensureOwner(client: Queryable, owner: string, wanted: string | undefined): Promise<void> {
  if (!(await roleExists(client, owner))) {
    const password = wanted ?? newPassword()
    await client.query(
      `create role ${quoteName(owner)} login password ${escapeLiteral(password)} ${API_ROLE_ATTRIBUTES}`,
    )
    await client.query("delete from roles where name = $1", [owner])
    await client.query(
      "insert into roles (oid, name, password) select oid, rolname, $2 from pg_roles where rolname = $1",
      [owner, password],
    )
    return
  }
  if (wanted === undefined) return
  await client.query(`alter role ${quoteName(owner)} password ${escapeLiteral(wanted)}`)
  await client.query("update roles set password = $2 where name = $1", [owner, wanted])
}

async function roleExists(client: Queryable, name: string): Promise<boolean> {
  const { rowCount } = await client.query("select from pg_roles where rolname = $1", [name])
  return rowCount !== 0
}

/** Made at the first start only: a project whose user deleted it does not get it back. */
async function ensureDefaultDatabase(control: Control, owner: string): Promise<void> {
  const { rows } = await control.pool.query<{ everMade: boolean }>(
    `select is_called as "everMade" from database_ids`,
  )
  if (rows[0]!.everMade) return
  const found = await control.pool.query("select from pg_database where datname = $1", [DEFAULT_DATABASE])
  const name = quoteName(DEFAULT_DATABASE)
  if (found.rowCount === 0) {
    await control.pool.query(`create database ${name} owner ${quoteName(owner)} template template0`)
  }
  await control.transaction(async (client) => {
    await client.query(`grant all privileges on database ${name} to ${NEON_SUPERUSER}`)
    await client.query(
      `insert into databases (oid, name, owner)
       select oid, datname, pg_get_userbyid(datdba) from pg_database where datname = $1`,
      [DEFAULT_DATABASE],
    )
  })
}

/** Gives the branch a new id: its data, its name and its host stay. */
export async function replaceBranch(control: Control, cell: Cell, branchId: string): Promise<void> {
  const { rows } = await control.pool.query<{ at: Date }>(
    `update cell set branch_id = $1, branch_changed_at = now() returning branch_changed_at as at`,
    [branchId],
  )
  cell.branchId = branchId
  cell.branchChangedAt = rows[0]!.at
}
