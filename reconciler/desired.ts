/** Reads tenants/: files in, tenants out, and for every file that is no tenant one line that says why. */
import { readdir } from "node:fs/promises"
import path from "node:path"
import { TerminalError } from "./errors.ts"
import { nameKey, Tenant, TenantId } from "./tenant.ts"
import { type Problem, readYamlFile, type YamlFile } from "./yaml-file.ts"

export type ReadTenants = {
  tenants: readonly (Tenant & { file: string })[]
  problems: readonly Problem[]
  /** Ids that a faulty file names all the same: those tenants are left as they are. */
  held: ReadonlySet<TenantId>
}

/**
 * Reads every .yaml and .yml file below `directory`, but for hidden files and folders. Throws only where the folder itself cannot be read: a folder
 * that is away is not an empty one.
 */
export async function readTenants(directory: string, seeds?: ReadonlySet<string>): Promise<ReadTenants> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(
    (error: unknown) => {
      const { code } = error as NodeJS.ErrnoException
      throw new TerminalError(
        "NoTenantsFolder",
        `the tenants folder ${directory} cannot be read (${code}): check TENANTS_DIR`,
      )
    },
  )
  const files = entries
    .filter((entry) => /\.ya?ml$/.test(entry.name))
    .map((entry) => path.join(entry.parentPath, entry.name))
    .filter(
      (file) =>
        !path
          .relative(directory, file)
          .split(path.sep)
          .some((part) => part.startsWith(".")),
    )
    .toSorted()
  const read = await Promise.all(files.map((file) => readYamlFile(file, Tenant)))
  return refuseClashes(seeds ? read.map((file) => refuseUnknownSeed(file, seeds)) : read)
}

/** A seed that is not there would leave a tenant half made. */
function refuseUnknownSeed(file: YamlFile<Tenant>, seeds: ReadonlySet<string>): YamlFile<Tenant> {
  const seed = file.value?.seed
  if (seed === undefined || seeds.has(seed)) return file
  const message = `there is no migrations/seeds/${seed}.sql; the seeds are: ${[...seeds].join(", ") || "none"}`
  return {
    ...file,
    value: undefined,
    problems: [{ file: file.file, line: file.lineOf("seed"), key: "seed", message }],
  }
}

const idOf = ({ raw }: YamlFile<Tenant>) => TenantId.safeParse((raw as { id?: unknown } | undefined)?.id).data

/** Two files with one id: neither is believed. Two with one name: neither gets it. */
function refuseClashes(files: readonly YamlFile<Tenant>[]): ReadTenants {
  const problems = files.flatMap((file) => file.problems)
  const clash = (key: "id" | "name", of: (file: YamlFile<Tenant>) => string | undefined, remedy: string) => {
    const groups = Map.groupBy(
      files.filter((file) => of(file) !== undefined),
      of,
    )
    for (const group of groups.values()) {
      for (const { file, lineOf } of group.length > 1 ? group : []) {
        const others = group.filter((other) => other.file !== file).map((other) => other.file)
        problems.push({ file, line: lineOf(key), key, message: `is also in ${others.join(", ")}; ${remedy}` })
      }
    }
  }
  clash("id", idOf, "an id belongs to one tenant for ever, so give the newer file a fresh one")
  clash(
    "name",
    ({ value }) => value && nameKey(value.name),
    "upper and lower case do not count, so choose another name",
  )
  const faulty = new Set(problems.map(({ file }) => file))
  return {
    tenants: files.flatMap(({ file, value }) => (value && !faulty.has(file) ? [{ ...value, file }] : [])),
    problems,
    held: new Set(files.filter(({ file }) => faulty.has(file)).flatMap((file) => idOf(file) ?? [])),
  }
}
