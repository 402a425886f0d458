/** dbmate by its program (not its wrapper in Node), with the steps as SQL files. */
import { execFile } from "node:child_process"
import { mkdir, writeFile } from "node:fs/promises"
import { createRequire } from "node:module"
import path from "node:path"
import { promisify } from "node:util"
import type { Prepare } from "../migrate/contestants.ts"

const run = promisify(execFile)
const PACKAGE = `@dbmate/${process.platform}-${process.arch}`

/** The program; undefined where bench/package.json has none for this machine. */
export function findDbmate(): string | undefined {
  try {
    const packageFile = createRequire(import.meta.url).resolve(`${PACKAGE}/package.json`)
    return path.join(path.dirname(packageFile), "bin", "dbmate")
  } catch {
    return undefined
  }
}

export const prepare: Prepare = async (steps, folder) => {
  const dir = path.join(folder, "dbmate")
  await mkdir(dir)
  const down = "-- migrate:down"
  for (const { name, up } of steps)
    await writeFile(path.join(dir, name), `-- migrate:up\n${up.sql}\n${down}\n`)
  const program = findDbmate()
  if (!program) throw new Error(`${PACKAGE} is not installed`)
  return async (uri) => {
    const url = new URL(uri)
    url.searchParams.set("sslmode", "disable")
    const env = { DATABASE_URL: url.href }
    await run(program, ["--migrations-dir", dir, "--no-dump-schema", "migrate"], { env })
  }
}
