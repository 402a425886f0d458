/** Brings one tenant's database to the newest schema, through umzug. */
import type { Client } from "pg"
import { Umzug, type UmzugStorage } from "umzug"
import { TerminalError } from "../errors.ts"
import { redact } from "../log.ts"
import type { Migration, Migrations } from "../migrations.ts"
import { connected } from "./postgres.ts"

/** Any constant will do: advisory locks are per database. It spells "tenantry" in ASCII. */
const LOCK = "8387794208080589433"

const RECORD = `
  create schema if not exists tenantry;
  create table if not exists tenantry.migrations (
    name text primary key,
    checksum text not null,
    applied_at timestamptz not null default now()
  );
  create table if not exists tenantry.seeds (
    name text primary key,
    applied_at timestamptz not null default now()
  )`

/**
 * Applies the steps that the database does not have, each in one transaction with its record. One runner at a time
 * per database; the next one finds the work done. Throws TerminalError, naming the step, where a step fails or the
 * record does not fit the files.
 */
export async function migrate(uri: string, { steps }: Pick<Migrations, "steps">): Promise<void> {
  await locked(uri, async (client) => {
    const runner = new Umzug({
      migrations: steps.map((step) => ({ name: step.name, up: () => begin(client, step) })),
      storage: storage(client, steps),
      logger: undefined,
    })
    await runner.up()
  })
}

/** Runs the seed once, in one transaction with its record. Returns whether it ran. */
export async function seed(uri: string, name: string, sql: string): Promise<boolean> {
  return locked(uri, async (client) => {
    const { rowCount } = await client.query("select from tenantry.seeds where name = $1", [name])
    if (rowCount) return false
    await client.query("begin")
    await client.query("insert into tenantry.seeds (name) values ($1)", [name])
    await client.query(sql)
    await client.query("commit")
    return true
  })
}

const locked = <T>(uri: string, task: (client: Client) => Promise<T>) =>
  connected(uri, async (client) => {
    // Held by the session, so it ends with the connection, however that ends.
    await client.query(`select pg_advisory_lock(${LOCK})`)
    await client.query(RECORD)
    return task(client)
  })

/** Opens the transaction that `logMigration` closes, so that the step and its record are one. */
async function begin(client: Client, step: Migration): Promise<void> {
  try {
    await client.query("begin")
    await client.query(step.up)
  } catch (error) {
    await client.query("rollback").catch(() => {})
    throw new TerminalError("MigrationFailed", `migration ${step.name}: ${redact((error as Error).message)}`)
  }
}

function storage(client: Client, steps: readonly Migration[]): UmzugStorage {
  const checksum = (name: string) => steps.find((step) => step.name === name)?.checksum
  return {
    async executed() {
      const { rows } = await client.query<{ name: string; checksum: string }>(
        "select name, checksum from tenantry.migrations order by name",
      )
      for (const row of rows) {
        if (checksum(row.name) === row.checksum) continue
        const change = checksum(row.name)
          ? "was edited after it was applied"
          : "is applied, but its file is missing"
        throw new TerminalError(
          "MigrationDrift",
          `migration ${row.name} ${change}: bring the file back as it was, and add a new step`,
        )
      }
      return rows.map(({ name }) => name)
    },
    async logMigration({ name }) {
      await client.query("insert into tenantry.migrations (name, checksum) values ($1, $2)", [
        name,
        checksum(name),
      ])
      await client.query("commit")
    },
    async unlogMigration() {
      throw new TerminalError("MigrationDown", "steps are not undone here")
    },
  }
}
