/** What a tenant's database remembers of its migrations, and whether that fits the files. */
import { type Client, DatabaseError, escapeLiteral as literal, type QueryResult } from "pg"
import { TerminalError, TransientError } from "../errors.ts"
import type { Migration } from "../migrations.ts"

/**
 * One step's record. `state` is "done", or for a step outside a transaction: "running" and "undoing" while it is at
 * it, "failed" after an error. `statements`: how many of them are through.
 */
export type Row = {
  name: string
  checksum: string
  state: "done" | "running" | "failed" | "undoing"
  statements: number
  applied_at: Date
}

/** Any constant will do: advisory locks are per database. It spells "tenantry" in ASCII. */
const LOCK = "8387794208080589433"

/** Makes the record where there is none. */
export const CREATE_RECORD = `
create schema if not exists tenantry;
create table if not exists tenantry.migrations (
  name text primary key,
  checksum text not null,
  state text not null default 'done' check (state in ('done', 'running', 'failed', 'undoing')),
  statements integer not null default 0,
  applied_at timestamptz not null default now()
)`

/** Makes the record of seeds where there is none; most tenants never need it. */
export const CREATE_SEEDS = `
create schema if not exists tenantry;
create table if not exists tenantry.seeds (
  name text primary key,
  applied_at timestamptz not null default now()
)`

const NO_TABLE = /^(?:42P01|3F000)$/
const WAITED = /^(?:57014|55P03)$/

/**
 * Takes the database's lock and reads its record, in one round trip. The lock is the session's, so it ends with the
 * connection, however that ends, and outlives the error that says that there is no record yet; then `rows` is
 * undefined. Throws TransientError where another runner has the lock for longer than a statement may take.
 */
export async function lockAndLook(client: Client): Promise<Row[] | undefined> {
  const sql = `select pg_advisory_lock(${LOCK});
    select name, checksum, state, statements, applied_at from tenantry.migrations order by name collate "C"`
  try {
    const results = (await client.query(sql)) as unknown as QueryResult<Row>[]
    return results[1]!.rows
  } catch (error) {
    const code = error instanceof DatabaseError ? (error.code ?? "") : ""
    if (NO_TABLE.test(code)) return undefined
    if (!WAITED.test(code)) throw error
    throw new TransientError(
      "MigrationLocked",
      "another runner is migrating this database: it is tried again later",
    )
  }
}

/** The statement that says that a step is done, for the step's own transaction. */
export const recordDone = ({ name, checksum }: Migration): string =>
  `insert into tenantry.migrations (name, checksum) values (${literal(name)}, ${literal(checksum)})
    on conflict (name) do update set checksum = excluded.checksum, state = 'done', applied_at = now()`

export const recordUndone = ({ name }: Migration): string =>
  `delete from tenantry.migrations where name = ${literal(name)}`

/** Throws TerminalError, naming the step, where what is applied and what the files say are not one history. */
export function assertFits(rows: readonly Row[], steps: readonly Migration[]): void {
  const files = new Map(steps.map((step) => [step.name, step]))
  const newestFile = steps.at(-1)?.name ?? ""
  for (const row of rows) {
    const step = files.get(row.name)
    if (!step && row.name > newestFile) {
      const remedy =
        'deploy the files that it was migrated with, or undo it from there by "tenantry migrate down"'
      throw new TerminalError(
        "DatabaseAhead",
        `the database has migration ${row.name}, which is newer than every file: ${remedy}`,
      )
    }
    const change = step ? "was edited after it was applied" : "is applied, but its file is missing"
    if (!step || (row.state === "done" && row.checksum !== step.checksum)) {
      throw new TerminalError(
        "MigrationDrift",
        `migration ${row.name} ${change}: bring the file back as it was, and add a new step`,
      )
    }
    if (row.state === "undoing") {
      throw new TerminalError(
        "MigrationHalfUndone",
        `migration ${row.name} is half undone: finish it by "tenantry migrate down"`,
      )
    }
  }
  const newest = rows.at(-1)?.name ?? ""
  const late = steps.find(({ name }) => name < newest && !rows.some((row) => row.name === name))
  if (late) {
    throw new TerminalError(
      "MigrationOrder",
      `migration ${late.name} is not applied, but the newer ${newest} is: give it a number above that`,
    )
  }
}
