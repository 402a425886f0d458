/** The rows that a new tenant may begin with: SQL files beside the migrations. */
import { existsSync } from "node:fs"
import { readdir, readFile } from "node:fs/promises"
import path from "node:path"

const SUFFIX = ".sql"
const folderOf = (migrations: string) => path.join(migrations, "seeds")

/** The names of the seeds in the folder of migrations; undefined where there is no such folder, so that nothing is known. */
export async function readSeedNames(migrations: string): Promise<ReadonlySet<string> | undefined> {
  if (!existsSync(migrations)) return undefined
  const names = await readdir(folderOf(migrations)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return []
    throw error
  })
  const files = names.filter((name) => !name.startsWith(".") && name.endsWith(SUFFIX)).sort()
  return new Set(files.map((name) => name.slice(0, -SUFFIX.length)))
}

/** SQL by the seed's name. */
export async function readSeeds(migrations: string): Promise<Map<string, string>> {
  const seeds = new Map<string, string>()
  for (const name of (await readSeedNames(migrations)) ?? [])
    seeds.set(name, await readFile(path.join(folderOf(migrations), name + SUFFIX), "utf8"))
  return seeds
}

/** Why a file may not name `seed`; undefined where it may, or where no seeds are known. */
export function seedFault(
  seed: string | undefined,
  seeds: ReadonlySet<string> | undefined,
): string | undefined {
  if (seed === undefined || !seeds || seeds.has(seed)) return undefined
  return `there is no migrations/seeds/${seed}.sql; the seeds are: ${[...seeds].join(", ") || "none"}`
}
