/** A fleet in which all is as declared: its files, and what Neon and the vault list of it. */
import { mkdir, writeFile } from "node:fs/promises"
import { randomUUID } from "node:crypto"
import path from "node:path"
import { toTags } from "../../reconciler/ledger.ts"
import { readMigrations } from "../../reconciler/migrations.ts"
import { databaseName, secretName, TenantId } from "../../reconciler/tenant.ts"
import { MIGRATIONS } from "../sql.ts"

const PER_FOLDER = 100
const FLEET = "bench"
/** What Neon takes in one branch. */
const PER_CELL = 500

/** The projects that so many tenants need. */
export const projectsOf = (count: number): string[] =>
  Array.from({ length: Math.ceil(count / PER_CELL) }, (_, index) => `bench-${index + 1}`)
/** Of a project, its branch. */
export const branchOf = (project: string): string => `br-${project}`

const nameOf = (index: number) => `tenant-${String(index).padStart(5, "0")}`

/** Writes `count` tenants' files below `folder`/tenants, fleet.yaml, and `folder`/listed.json for listing.ts. */
export async function writeFleet(folder: string, count: number): Promise<void> {
  const { version } = await readMigrations(MIGRATIONS)
  const ids = Array.from({ length: count }, () => TenantId.parse(randomUUID()))
  for (let start = 0; start < count; start += PER_FOLDER) {
    const directory = path.join(folder, "tenants", String(start / PER_FOLDER).padStart(3, "0"))
    await mkdir(directory, { recursive: true })
    for (let index = start; index < Math.min(start + PER_FOLDER, count); index++)
      await writeFile(path.join(directory, `${index}.yaml`), `id: ${ids[index]!}\nname: ${nameOf(index)}\n`)
  }
  const projects = projectsOf(count)
  const listed = ids.map((id, index) => {
    const [name, database] = [nameOf(index), databaseName(nameOf(index))]
    const entry = {
      id,
      fleet: FLEET,
      name,
      cell: projects[Math.floor(index / PER_CELL)]!,
      database,
      state: "active",
      schema: version,
      slot: "a",
    } as const
    return { database, secret: secretName(id), tags: toTags(entry) }
  })
  await writeFile(path.join(folder, "listed.json"), JSON.stringify(listed))
  await writeSettings(folder, FLEET)
}

/** The fleet.yaml of `folder`, with the usual policy. */
export async function writeSettings(folder: string, fleet: string): Promise<void> {
  const policy = "deletion: retire\ngracePeriodDays: 30\nmaxRemovals: 5\nmaxRemovalShare: 0.5\n"
  await writeFile(path.join(folder, "fleet.yaml"), `fleet: ${fleet}\n${policy}`)
}
