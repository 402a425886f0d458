/** Ways to bring one database to the newest schema; each takes the same steps, written as it wants them. */
import path from "node:path"
import { Client, escapeLiteral } from "pg"
import { type Migration, type Migrations, readMigrations } from "../../reconciler/migrations.ts"
import { migrate } from "../../reconciler/providers/migrator.ts"
import type { Contestant } from "../bench.ts"

export type Way = Pick<Contestant, "name" | "role"> & {
  /** Brings the database to the newest schema. */
  apply: (uri: string) => Promise<void>
  /** Asks a database that is there already whether anything is pending. */
  check: (uri: string) => Promise<void>
}

/** What a file of bench/peers/ exports: gets the steps ready below `folder`, for one database after the other. */
export type Prepare = (steps: readonly Migration[], folder: string) => Promise<(uri: string) => Promise<void>>

const MIGRATIONS = path.resolve(import.meta.dirname, "../../migrations")
const PEERS = path.resolve(import.meta.dirname, "../peers")

/** `folder` is for those who read files of their own. */
export async function makeWays(folder: string): Promise<Way[]> {
  const migrations = await readMigrations(MIGRATIONS)
  const peer = async (name: string): Promise<Way> => {
    const { prepare } = (await import(path.join(PEERS, `${name}.ts`))) as { prepare: Prepare }
    return { name, role: "peer", ...both(await prepare(migrations.steps, folder)) }
  }
  return [
    { name: "limit", role: "limit", ...byHand(migrations) },
    { name: "tenantry", role: "ours", ...both((uri) => migrate(uri, migrations)) },
    await peer("node-pg-migrate"),
    await peer("knex"),
    await peer("dbmate"),
  ]
}

const both = (up: (uri: string) => Promise<void>) => ({ apply: up, check: up })

/** One connection, one message, one transaction; and one question. */
function byHand({ steps }: Migrations): Pick<Way, "apply" | "check"> {
  const record = steps.map(({ name, checksum }) => `(${escapeLiteral(name)}, ${escapeLiteral(checksum)})`)
  const script = [
    "begin",
    "create table applied (name text primary key, checksum text not null, at timestamptz default now())",
    ...steps.map(({ up }) => `${up.sql}\n`),
    `insert into applied (name, checksum) values ${record.join(", ")}`,
    "commit",
  ].join(";\n")
  return { apply: ask(script), check: ask("select name, checksum from applied order by name") }
}

const ask = (sql: string) => async (uri: string) => {
  const client = new Client({ connectionString: uri })
  await client.connect()
  await client.query(sql)
  await client.end()
}
