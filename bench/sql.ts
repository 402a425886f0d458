/** The bare way to send SQL, for what is done by hand. */
import path from "node:path"
import { Client } from "pg"

export const MIGRATIONS = path.resolve(import.meta.dirname, "../migrations")

/** One message in a connection of its own. */
export async function ask(connectionString: string, sql: string): Promise<void> {
  const client = new Client({ connectionString })
  await client.connect()
  await client.query(sql)
  await client.end()
}

/** One message that does all of it or nothing. */
export const inOneTransaction = (...statements: string[]): string =>
  // A statement may end in a comment.
  ["begin", ...statements.map((sql) => `${sql}\n`), "commit"].join(";\n")
