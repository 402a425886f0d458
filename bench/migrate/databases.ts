/** Empty databases, made anew for each turn. */
import { Client } from "pg"
import type { Postgres } from "../../local/postgres.ts"
import { withDatabase } from "../../reconciler/providers/postgres.ts"
import { ask } from "../sql.ts"
import { handOut } from "../workers.ts"

/** How many are made, and worked on, at once. */
export const AT_ONCE = 8

/** Calls `task` for each item, so many at once; returns the seconds that all took. */
export async function forAll<T>(items: readonly T[], task: (item: T) => Promise<void>): Promise<number> {
  const started = performance.now()
  await handOut(items, AT_ONCE, async (left) => {
    for (const item of left) await task(item)
  })
  return (performance.now() - started) / 1000
}

/** Drops what is there of these and makes them again. */
export async function makeEmpty({ superuserUri }: Postgres, names: readonly string[]): Promise<void> {
  await handOut(names, AT_ONCE, async (left) => {
    const admin = new Client({ connectionString: superuserUri })
    await admin.connect()
    for (const name of left) {
      await admin.query(`drop database if exists "${name}" with (force)`)
      await admin.query(`create database "${name}"`)
    }
    await admin.end()
  })
}

/** So that no checkpoint is due while somebody is measured. */
export const settle = ({ superuserUri }: Postgres): Promise<void> => ask(superuserUri, "checkpoint")

/** `superuserUri` with another database, and where a relay is between, its port. */
export const uriOf = ({ superuserUri }: Postgres, name: string, port: number | undefined): string => {
  const uri = new URL(withDatabase(superuserUri, name))
  if (port !== undefined) uri.port = String(port)
  return uri.href
}
