/** The schema that every tenant's database has: numbered SQL files, and the seeds beside them. */
import { createHash } from "node:crypto"
import { readdir, readFile } from "node:fs/promises"
import path from "node:path"
import { TerminalError } from "./errors.ts"

/** One step. `name` is the file's name; `checksum` is the SHA-256 of its text in hex. */
export type Migration = { name: string; up: string; checksum: string }

export type Migrations = {
  steps: readonly Migration[]
  /** The newest step's number and a digest over all steps, e.g. "0004:9f86d081884c7d65": two equal ones are one schema. */
  version: string
  /** SQL by the seed's name. */
  seeds: ReadonlyMap<string, string>
}

const FILE = /^(\d{4})_[a-z0-9][a-z0-9_-]*\.sql$/
const DOWN = /^-- tenantry: down[ \t]*$/m

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex")

/** Reads `directory`. Throws TerminalError, naming the file, where one is empty, misnamed or has another's number. */
export async function readMigrations(directory: string): Promise<Migrations> {
  const reject = (file: string, message: string) =>
    new TerminalError("BadMigration", `${path.join(directory, file)}: ${message}`)
  const files = (await list(directory)).filter((name) => name.endsWith(".sql"))
  const steps: Migration[] = []
  for (const name of files) {
    const number = FILE.exec(name)?.[1]
    if (!number)
      throw reject(
        name,
        'the name must be a four-digit number, "_" and lower-case words, such as 0005_add_stock.sql',
      )
    const rival = steps.at(-1)
    if (rival?.name.startsWith(number))
      throw reject(name, `has the same number as ${rival.name}; give it the next free one`)
    const text = await readFile(path.join(directory, name), "utf8")
    const up = text.split(DOWN)[0]!.trim()
    if (up.replaceAll(/--.*$/gm, "").trim() === "")
      throw reject(name, "holds no statement; write the step or remove the file")
    steps.push({ name, up, checksum: sha256(text) })
  }
  const number = steps.at(-1)?.name.slice(0, 4) ?? "0000"
  const digest = sha256(steps.map(({ name, checksum }) => `${name} ${checksum}\n`).join("")).slice(0, 16)
  return { steps, version: `${number}:${digest}`, seeds: await readSeeds(path.join(directory, "seeds")) }
}

async function readSeeds(directory: string): Promise<Map<string, string>> {
  const seeds = new Map<string, string>()
  for (const name of await list(directory)) {
    if (name.endsWith(".sql"))
      seeds.set(name.slice(0, -4), await readFile(path.join(directory, name), "utf8"))
  }
  return seeds
}

const list = async (directory: string) => {
  try {
    return (await readdir(directory)).sort()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return []
    throw error
  }
}
