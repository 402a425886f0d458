/** A real Postgres with empty databases that belong to an ordinary role, as Neon's do. */
import { mkdtemp } from "node:fs/promises"
import { tmpdir } from "node:os"
import path from "node:path"
import { Client } from "pg"
import { afterAll, beforeAll } from "vitest"
import { type Postgres, removePostgres } from "../../local/postgres.ts"
import { startTestPostgres } from "../postgres.ts"
import { type Migrations, readMigrations } from "../../reconciler/migrations.ts"
import { withDatabase, withLogin } from "../../reconciler/providers/postgres.ts"
import { folderOf } from "../reconciler/folder.ts"

/** One server for the tests of a file. */
export function useServer() {
  let server: Postgres
  let directory: string
  let made = 0

  beforeAll(async () => {
    directory = await mkdtemp(path.join(tmpdir(), "tenantry-migrations-"))
    server = await startTestPostgres({ directory, settings: { fsync: "off", full_page_writes: "off" } })
    await query(server.superuserUri, "create role owner login password 'owner' createdb")
  })
  afterAll(async () => {
    await server?.stop()
    await removePostgres(directory)
  })

  return {
    /** A new, empty database, as its owner sees it. */
    async database(): Promise<string> {
      const name = `db${++made}`
      await query(server.superuserUri, `create database ${name} owner owner`)
      return withLogin(withDatabase(server.superuserUri, name), "owner", "owner")
    },
    /** No tenant's database, for what cannot be done from within one. */
    maintenance: (): string => server.superuserUri,
    /** The same database as the server's superuser sees it. */
    asSuperuser: (uri: string): string => withDatabase(server.superuserUri, new URL(uri).pathname.slice(1)),
  }
}

/** The rows of the last statement. */
export async function query<R = Record<string, unknown>>(uri: string, sql: string): Promise<R[]> {
  const client = await session(uri)
  try {
    const results = [await client.query(sql)].flat()
    return results.at(-1)!.rows as R[]
  } finally {
    await client.end()
  }
}

/** A session that the test ends. */
export async function session(uri: string): Promise<Client> {
  const client = new Client({ connectionString: uri })
  client.on("error", () => {}) // whoever queries hears of it
  await client.connect()
  return client
}

export const migrationsOf = async (files: Record<string, string>): Promise<Migrations> =>
  readMigrations(await folderOf(files))

/** What the database says of itself: its own tables, and the record. */
export async function stateOf(uri: string): Promise<{ tables: string[]; record: string[] }> {
  const tables = await query<{ name: string }>(
    uri,
    "select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' order by 1",
  )
  const [has] = await query<{ has: boolean }>(
    uri,
    "select to_regclass('tenantry.migrations') is not null as has",
  )
  const record = has!.has
    ? await query<{ line: string }>(
        uri,
        "select name || ' ' || state as line from tenantry.migrations order by name",
      )
    : []
  return { tables: tables.map(({ name }) => name), record: record.map(({ line }) => line) }
}

/** The error that `work` ends with, as "reason: message" with the temporary folder left out. */
export const failureOf = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "it did not fail",
    (error: Error & { reason?: string }) =>
      `${error.name} ${error.reason}: ${error.message.replaceAll(/\/[^\s:]*\/(?=\d{4}_)/g, "")}`,
  )
