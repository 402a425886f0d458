/** What nobody can do without: a database for each, and all migrations in one message; no roles, no secret. */
import { Client } from "pg"
import { readMigrations } from "../../reconciler/migrations.ts"
import { withDatabase } from "../../reconciler/providers/postgres.ts"
import { ask, inOneTransaction, MIGRATIONS } from "../sql.ts"
import { handOut } from "../workers.ts"

/** Makes the databases `atOnce` at a time. Returns milliseconds. */
export async function makeByHand(
  superuserUri: string,
  names: readonly string[],
  atOnce: number,
): Promise<number> {
  const { steps } = await readMigrations(MIGRATIONS)
  const script = inOneTransaction(...steps.map(({ up }) => up.sql))
  const started = performance.now()
  await handOut(names, atOnce, async (left) => {
    const admin = new Client({ connectionString: superuserUri })
    await admin.connect()
    for (const name of left) {
      await admin.query(`create database "${name}"`)
      await ask(withDatabase(superuserUri, name), script)
    }
    await admin.end()
  })
  return performance.now() - started
}

/**
 * Drops every database and every role that a turn has made. A new role takes longer the more there are: its maker is a
 * member of all of them.
 */
export async function dropAll(superuserUri: string): Promise<void> {
  const admin = new Client({ connectionString: superuserUri })
  await admin.connect()
  const { rows } = await admin.query<{ datname: string }>(
    "select datname from pg_database where datname like 'products-%' or datname like 'hand-%'",
  )
  for (const { datname } of rows) await admin.query(`drop database "${datname}" with (force)`)
  const { rows: roles } = await admin.query<{ names: string | null }>(
    "select string_agg(quote_ident(rolname), ', ') as names from pg_roles where rolname like 'tenant\\_%'",
  )
  if (roles[0]?.names) await admin.query(`drop role ${roles[0].names}`)
  await admin.query("checkpoint")
  await admin.end()
}
