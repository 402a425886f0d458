/** Ways to bring one database to the newest schema; each takes the same steps, written as it wants them. */
import path from "node:path"
import { escapeLiteral } from "pg"
import { type Migration, type Migrations, readMigrations } from "../../reconciler/migrations.ts"
import { migrate } from "../../reconciler/providers/migrator.ts"
import type { Contestant } from "../bench.ts"
import { findDbmate } from "../peers/dbmate.ts"
import { ask, inOneTransaction, MIGRATIONS } from "../sql.ts"

export type Way = Pick<Contestant, "name" | "role"> & {
  /** Brings the database to the newest schema. */
  apply: (uri: string) => Promise<void>
  /** Asks a database that is there already whether anything is pending. */
  check: (uri: string) => Promise<void>
}

/** What a file of bench/peers/ exports: gets the steps ready below `folder`, for one database after the other. */
export type Prepare = (steps: readonly Migration[], folder: string) => Promise<(uri: string) => Promise<void>>

const PEERS = path.resolve(import.meta.dirname, "../peers")

/** `folder` is for those who read files of their own. dbmate is left out where there is none for this machine. */
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
    ...(findDbmate() ? [await peer("dbmate")] : []),
  ]
}

const both = (up: (uri: string) => Promise<void>) => ({ apply: up, check: up })

/** One connection, one message, one transaction; and one question. */
function byHand({ steps }: Migrations): Pick<Way, "apply" | "check"> {
  const record = steps.map(({ name, checksum }) => `(${escapeLiteral(name)}, ${escapeLiteral(checksum)})`)
  const script = inOneTransaction(
    "create table applied (name text primary key, checksum text not null, at timestamptz default now())",
    ...steps.map(({ up }) => up.sql),
    `insert into applied (name, checksum) values ${record.join(", ")}`,
  )
  const question = "select name, checksum from applied order by name"
  return { apply: (uri) => ask(uri, script), check: (uri) => ask(uri, question) }
}
