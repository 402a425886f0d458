/** Reads tenants/: files in, tenants out, and for every file that is no tenant one line that says why. */
import { createHash } from "node:crypto"
import { statSync } from "node:fs"
import { sameList } from "./same.ts"
import { seedFault } from "./seeds.ts"
import { nameKey, Tenant, TenantId } from "./tenant.ts"
import { type Listed, readFolder } from "./tenants-folder.ts"
import { faulty, parseYamlFile, type Problem, readText, type YamlFile } from "./yaml-file.ts"

export type ReadTenants = {
  tenants: readonly (Tenant & { file: string })[]
  problems: readonly Problem[]
  /** Ids that a faulty file names all the same: those tenants are left as they are. */
  held: ReadonlySet<TenantId>
}

type Remembered = { stamp: string | undefined; digest: string; read: YamlFile<Tenant> }

/** What the last read made of each file, by its path, and of all of them, so that the next one does only what is new. */
export type FileMemory = {
  files: ReadonlyMap<string, Remembered>
  all?: { found: readonly Remembered[]; seeds: ReadonlySet<string> | undefined; read: ReadTenants }
}
export const createFileMemory = (): FileMemory => ({ files: new Map() })

/**
 * Reads every file that declares a tenant, see tenants-folder.ts. With `seeds` a file that names another seed is faulty. `memory` holds
 * no more than the files of the last read; where nothing has changed since, the result is that read's. Throws only where
 * the folder itself cannot be read.
 */
export async function readTenants(
  directory: string,
  seeds?: ReadonlySet<string>,
  memory: FileMemory = createFileMemory(),
): Promise<ReadTenants> {
  const { files: last, all } = memory
  const found = await readFolder(directory, (listed) => readOne(listed, last.get(listed.file)))
  if (all && sameList(all.found, found) === all.found && areSame(all.seeds, seeds)) return all.read
  const files = found.map(({ read }) => read)
  const read = refuseClashes(seeds ? files.map((file) => refuseUnknownSeed(file, seeds)) : files)
  memory.files = new Map(found.map((remembered) => [remembered.read.file, remembered]))
  memory.all = { found, seeds, read }
  return read
}

/** A file that changed within the clock's coarseness can change again unseen; milliseconds. */
const COARSE = 2000

function readOne({ file, real }: Listed, last: Remembered | undefined): Remembered {
  const stamp = stampOf(real)
  if (last && stamp !== undefined && stamp === last.stamp) return last
  const text = readText(real)
  if (typeof text !== "string") return { stamp: undefined, digest: "", read: faulty(file, text.fault) }
  const digest = createHash("sha256").update(text).digest("base64")
  return { stamp, digest, read: last?.digest === digest ? last.read : parseYamlFile(file, text, Tenant) }
}

/** What changes whenever the file does; undefined where that is not sure. */
function stampOf(real: string): string | undefined {
  const stat = statSync(real, { bigint: true, throwIfNoEntry: false })
  if (!stat || Date.now() - Number(stat.ctimeMs) < COARSE) return undefined
  return `${stat.ino} ${stat.size} ${stat.mtimeNs} ${stat.ctimeNs}`
}

const areSame = (some: ReadonlySet<string> | undefined, others: ReadonlySet<string> | undefined): boolean =>
  some === others ||
  (some !== undefined && others !== undefined && some.symmetricDifference(others).size === 0)

/** A seed that is not there would leave a tenant half made. */
function refuseUnknownSeed(file: YamlFile<Tenant>, seeds: ReadonlySet<string>): YamlFile<Tenant> {
  const message = seedFault(file.value?.seed, seeds)
  if (message === undefined) return file
  return {
    ...file,
    value: undefined,
    problems: [{ file: file.file, line: lineOf(file, "seed"), key: "seed", message }],
  }
}

const idOf = ({ value, raw }: YamlFile<Tenant>) => value?.id ?? TenantId.safeParse(raw?.["id"]).data
const lineOf = ({ lines }: YamlFile<Tenant>, key: string) => lines.get(key) ?? 1

/** Two files with one id: neither is believed. Two with one name or one host: neither gets it. */
function refuseClashes(files: readonly YamlFile<Tenant>[]): ReadTenants {
  const problems = files.flatMap((file) => file.problems)
  const clash = (
    key: "id" | "name" | "hosts",
    of: (file: YamlFile<Tenant>) => readonly string[],
    remedy: string,
  ) => {
    const claims = files.flatMap((file) => of(file).map((claimed) => ({ file, claimed })))
    for (const [claimed, group] of Map.groupBy(claims, (claim) => claim.claimed)) {
      for (const { file } of group.length > 1 ? group : []) {
        const others = few(group.map((other) => other.file).filter((other) => other !== file))
        const message = `${key === "hosts" ? `${claimed} ` : ""}is also in ${others}; ${remedy}`
        problems.push({ file: file.file, line: lineOf(file, key), key, message })
      }
    }
  }
  clash(
    "id",
    (file) => [idOf(file)].filter((id) => id !== undefined),
    "an id belongs to one tenant for ever, so give the newer file a fresh one",
  )
  clash(
    "name",
    ({ value }) => (value ? [nameKey(value.name)] : []),
    "upper and lower case do not count, so choose another name",
  )
  clash("hosts", ({ value }) => value?.hosts ?? [], "a host leads to one tenant, so keep it in one file")
  const refused = new Set(problems.map(({ file }) => file))
  return {
    tenants: files.flatMap(({ file, value }) => (value && !refused.has(file) ? [{ ...value, file }] : [])),
    problems,
    held: new Set(files.filter(({ file }) => refused.has(file)).flatMap((file) => idOf(file) ?? [])),
  }
}

const few = (files: readonly YamlFile<Tenant>[]): string =>
  files
    .slice(0, 3)
    .map(({ file }) => file)
    .join(", ") + (files.length > 3 ? ` and ${files.length - 3} more files` : "")
