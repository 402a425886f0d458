/** node-pg-migrate by its function, with the steps as SQL files. */
import { mkdir, writeFile } from "node:fs/promises"
import path from "node:path"
import { runner } from "node-pg-migrate"
import type { Prepare } from "../migrate/contestants.ts"

export const prepare: Prepare = async (steps, folder) => {
  const dir = path.join(folder, "node-pg-migrate")
  await mkdir(dir)
  for (const { name, up } of steps) await writeFile(path.join(dir, name), `-- Up Migration\n${up.sql}\n`)
  return async (databaseUrl) => {
    await runner({
      databaseUrl,
      dir,
      direction: "up",
      migrationsTable: "pgmigrations",
      singleTransaction: true,
      log: () => {},
    })
  }
}
