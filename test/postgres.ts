/** A Postgres for a test, with the data that initdb makes: once for all tests, because that takes longer than most of them. */
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync } from "node:fs"
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import path from "node:path"
import { freePort, type Postgres, removePostgres, startPostgres } from "../local/postgres.ts"

const REPOSITORY = path.resolve(import.meta.dirname, "..")
const CACHE = path.join(REPOSITORY, "node_modules/.cache")

/** The same as startPostgres, with copied data where `directory` has none yet. */
export async function startTestPostgres(options: {
  directory: string
  settings: Record<string, string>
}): Promise<Postgres> {
  const { directory } = options
  const source = existsSync(path.join(directory, "port")) ? undefined : await original()
  if (source) {
    copy(source, directory)
    await writeFile(path.join(directory, "port"), String(await freePort()))
  }
  return startPostgres(options)
}

/**
 * What startPostgres makes of an empty folder; made anew when that or Postgres is another one. undefined where its user
 * cannot enter the folder for temporary files, and keeps its data elsewhere.
 */
async function original(): Promise<string | undefined> {
  const digest = createHash("sha256")
  for (const file of ["local/postgres.ts", "package.json"])
    digest.update(await readFile(path.join(REPOSITORY, file)))
  const folder = path.join(CACHE, `postgres-${digest.digest("hex").slice(0, 16)}`)
  if (existsSync(folder)) return folder
  const draft = await mkdtemp(path.join(tmpdir(), "tenantry-postgres-"))
  const postgres = await startPostgres({ directory: draft, settings: { fsync: "off" } })
  await postgres.stop()
  const isHere = existsSync(path.join(draft, "data"))
  if (isHere) {
    await mkdir(CACHE, { recursive: true })
    const whole = `${folder}.${process.pid}`
    copy(draft, whole)
    // Another test file may have been quicker.
    await rename(whole, folder).catch(() => rm(whole, { recursive: true }))
  }
  await removePostgres(draft)
  return isHere ? folder : undefined
}

/** With owners and modes, which Postgres insists on. */
function copy(from: string, to: string): void {
  const { status, stderr } = spawnSync("cp", ["-Rp", `${from}/.`, to], { encoding: "utf8" })
  if (status !== 0) throw new Error(`cannot copy ${from} to ${to}: ${stderr}`)
}
