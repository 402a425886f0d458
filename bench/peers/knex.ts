/** Knex by its function, with the steps as raw SQL. */
import knex from "knex"
import type { Prepare } from "../migrate/contestants.ts"

type Step = Parameters<Prepare>[0][number]

export const prepare: Prepare = async (steps) => {
  const migrationSource = {
    getMigrations: async () => [...steps],
    getMigrationName: ({ name }: Step) => name,
    getMigration: async ({ up }: Step) => ({
      up: (db: { raw: (sql: string) => Promise<unknown> }) => db.raw(up.sql),
      down: async () => {},
    }),
  }
  return async (connection) => {
    const db = knex({ client: "pg", connection, pool: { min: 0, max: 1 } })
    await db.migrate.latest({ migrationSource })
    await db.destroy()
  }
}
