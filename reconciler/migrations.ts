/** The schema that every tenant's database has: numbered SQL files, and the seeds beside them. */
import { createHash } from "node:crypto"
import { existsSync } from "node:fs"
import { readdir, readFile } from "node:fs/promises"
import path from "node:path"
import { TerminalError } from "./errors.ts"
import { readSeeds } from "./seeds.ts"
import { lineAt } from "./sql-text.ts"

/** SQL of a file, and the line, counted from 1, on which it begins there. */
export type Part = { sql: string; line: number }

/** One step. */
export type Migration = {
  /** The file's name without its folder. */
  name: string
  /** The path by which people find the file. */
  file: string
  up: Part
  /** What would undo it. */
  down: Part | undefined
  /** False where the file says "-- tenantry: no-transaction": its statements run one by one. */
  inTransaction: boolean
  /** The SHA-256, in hex, of the file's text with line breaks as on Unix. */
  checksum: string
}

/** How long one statement of a step may wait for a lock, and how long it may take; milliseconds. */
export type StepLimits = { lockTimeout: number; statementTimeout: number }

export const DEFAULT_LIMITS: StepLimits = { lockTimeout: 2000, statementTimeout: 60_000 }

export type Migrations = {
  steps: readonly Migration[]
  /** The newest step's number and a digest over all steps, e.g. "0004:9f86d081884c7d65": two equal ones are one schema. */
  version: string
  /** SQL by the seed's name. */
  seeds: ReadonlyMap<string, string>
  /** Why the steps cannot be trusted; undefined where they can. */
  fault?: TerminalError
}

const FILE = /^(\d{4})_[a-z0-9][a-z0-9_-]*\.sql$/
/** The dump of what the steps make, for people; see schema-dump.ts. */
const SCHEMA_FILE = "schema.sql"
const DIRECTIVE = /^[ \t]*--[ \t]*tenantry:[ \t]*(.*?)[ \t]*$/gim
/** How other tools mark a part that undoes: here it would run as a part of the step. */
const FOREIGN_MARK = /^[ \t]*--[ \t]*(?:\+(?:goose|migrate)|migrate:(?:up|down)|(?:up|down) migration)\b.*$/im

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex")

/** The version of a schema that these steps make. */
export function versionOf(steps: readonly Migration[]): string {
  const number = steps.at(-1)?.name.slice(0, 4) ?? "0000"
  return `${number}:${sha256(steps.map(({ name, checksum }) => `${name} ${checksum}\n`).join("")).slice(0, 16)}`
}

/** Reads `directory`. Throws TerminalError with one line per fault, naming file and line, and what to do. */
export async function readMigrations(directory: string): Promise<Migrations> {
  const names = await list(directory).catch((error: NodeJS.ErrnoException) => {
    throw new TerminalError(
      "BadMigration",
      `${directory}: the migrations cannot be read (${error.code}): check MIGRATIONS_DIR`,
    )
  })
  const files = names.filter((name) => /\.sql$/i.test(name) && name !== SCHEMA_FILE)
  const problems = clashes(files).map(({ name, message }) => `${path.join(directory, name)}: ${message}`)
  const steps: Migration[] = []
  for (const name of files) {
    const read = await readStep(directory, name)
    if ("step" in read) steps.push(read.step)
    else problems.push(...read.problems)
  }
  if (problems.length > 0) throw new TerminalError("BadMigration", problems.join("\n"))
  return { steps, version: versionOf(steps), seeds: await readSeeds(directory) }
}

/**
 * The same for who has other things to do than to migrate: what is wrong with a file is in `fault`, there are no steps,
 * and no database is at their version. Throws TerminalError where the folder cannot be read.
 */
export async function readMigrationsOrFault(directory: string): Promise<Migrations> {
  try {
    return await readMigrations(directory)
  } catch (error) {
    if (!(error instanceof TerminalError) || !existsSync(directory)) throw error
    return {
      steps: [],
      version: "faulty",
      seeds: await readSeeds(directory),
      fault: error,
    }
  }
}

function clashes(files: readonly string[]): { name: string; message: string }[] {
  return files.flatMap((name, index) => {
    const number = FILE.exec(name)?.[1]
    if (!number) {
      const message =
        'the name must be a four-digit number, "_" and lower-case words, such as 0005_add_stock.sql'
      return [{ name, message }]
    }
    const rival = files.slice(0, index).find((earlier) => FILE.exec(earlier)?.[1] === number)
    return rival ? [{ name, message: `has the same number as ${rival}; give it the next free one` }] : []
  })
}

async function readStep(
  directory: string,
  name: string,
): Promise<{ step: Migration } | { problems: string[] }> {
  const file = path.join(directory, name)
  const text = await readText(file)
  if (text === undefined) return { problems: [`${file}: cannot be read as UTF-8 text: save it as such`] }
  const problems: string[] = []
  const reject = (line: number, message: string) => problems.push(`${file}:${line}: ${message}`)
  const foreign = FOREIGN_MARK.exec(text)
  if (foreign)
    reject(
      lineAt(text, foreign.index),
      `"${foreign[0].trim()}" is another tool's mark; here it is "-- tenantry: down"`,
    )
  let mark: RegExpExecArray | undefined
  let inTransaction = true
  for (const found of text.matchAll(DIRECTIVE)) {
    const directive = found[1]!
    const line = lineAt(text, found.index)
    if (directive === "down" && mark) reject(line, 'there is a second "-- tenantry: down"; keep one')
    else if (directive === "down") mark = found
    else if (directive === "no-transaction") inTransaction = false
    else if (!/^allow [a-z-]+(?:\s+--.*)?$/.test(directive))
      reject(
        line,
        `"-- tenantry: ${directive}" is not known; there are down, no-transaction and allow <rule>`,
      )
  }
  const up = { sql: text.slice(0, mark?.index).trimEnd(), line: 1 }
  const below = mark && mark.index + mark[0].length
  const down =
    below === undefined ? undefined : { sql: text.slice(below).trimEnd(), line: lineAt(text, below) }
  if (isEmpty(up.sql)) reject(1, "holds no statement; write the step or remove the file")
  if (down && isEmpty(down.sql))
    reject(down.line, "no statement stands below the down mark; write it or remove the mark")
  if (problems.length > 0) return { problems }
  return { step: { name, file, up, down, inTransaction, checksum: sha256(text) } }
}

const isEmpty = (sql: string) =>
  sql
    .replaceAll(/--.*$/gm, "")
    .replaceAll(/\/\*[\s\S]*?\*\//g, "")
    .replaceAll(";", "")
    .trim() === ""

/** undefined where the file is no text that Postgres would take. A checkout on Windows may have changed line breaks. */
async function readText(file: string): Promise<string | undefined> {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(await readFile(file))
    return text.includes("\0") ? undefined : text.replaceAll("\r\n", "\n")
  } catch (error) {
    if (error instanceof TypeError || (error as NodeJS.ErrnoException).code === "EISDIR") return undefined
    throw error
  }
}

const list = async (directory: string) =>
  (await readdir(directory)).filter((name) => !name.startsWith(".")).sort()
