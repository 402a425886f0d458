/**
 * Reads, validates and compares a fleet's files in a process of its own: node read.ts <folder>; the figures of the first
 * turn are those of a reconciler that starts. "turn" asks for one with nothing changed, "edit" for one after an edit of
 * a file, "watch" for how long it takes until a pass would begin after one.
 */
import { readFileSync, writeFileSync } from "node:fs"
import path from "node:path"
import { createFileMemory, readTenants } from "../../reconciler/desired.ts"
import { fromTags, ownerOf } from "../../reconciler/ledger.ts"
import { collectEarly } from "../../reconciler/heap.ts"
import { diff } from "../../reconciler/plan.ts"
import { createWakeUp } from "../../reconciler/wake-up.ts"

collectEarly()

type Listed = { database: string; secret: string; tags: Record<string, string> }[]

const folder = process.argv[2]!
const tenantsDir = path.join(folder, "tenants")
const listed = JSON.parse(readFileSync(path.join(folder, "listed.json"), "utf8")) as Listed
const observed = {
  databases: listed.map(({ database: name, tags }) => ({ cell: tags["cell"]!, name, marker: undefined })),
  secrets: listed.map(({ secret: name, tags }) => ({
    name,
    enabled: true,
    owner: ownerOf(tags),
    entry: fromTags(name, tags),
    changedAt: 0,
  })),
}
const { fleet, schema: version } = observed.secrets[0]!.entry!
const cells = [...new Set(observed.databases.map(({ cell }) => cell))]
const memory = createFileMemory()

async function compare(changes: number): Promise<Record<string, number>> {
  const [begun, spent] = [performance.now(), process.cpuUsage()]
  const { tenants, held, problems } = await readTenants(tenantsDir, new Set(), memory)
  const found = diff({ fleet, cells, version, tenants, held, gracePeriod: 0 }, observed, Date.now())
  const ms = performance.now() - begun
  const { user, system } = process.cpuUsage(spent)
  if (tenants.length !== listed.length || problems.length > 0 || found.changes.length !== changes)
    throw new Error(
      `read ${tenants.length} tenants, ${problems.length} faults, ${found.changes.length} changes`,
    )
  return { ms, "CPU ms": (user + system) / 1000, "MB resident": process.memoryUsage.rss() / 1e6 }
}

/** Renames the tenant of the first file, and back. */
const edited = path.join(tenantsDir, "000/0.yaml")
const original = readFileSync(edited, "utf8")
const edit = () => writeFileSync(edited, `${original.trimEnd()}-renamed\n`)
const undo = () => writeFileSync(edited, original)

async function afterEdit(): Promise<Record<string, number>> {
  edit()
  const figures = await compare(1)
  undo()
  await compare(0)
  return figures
}

let wakeUp: ReturnType<typeof createWakeUp> | undefined
async function seen(): Promise<Record<string, number>> {
  wakeUp ??= createWakeUp([tenantsDir], {
    polling: 0,
    onError: (error) => {
      throw error
    },
  })
  // The watcher looks at every file before it tells of the first change.
  while (await wakeUp.wait(3000, never)) wakeUp.arm()
  wakeUp.arm()
  const begun = performance.now()
  edit()
  if (!(await wakeUp.wait(10_000, never))) throw new Error("the edit was not seen within 10 s")
  const figures = await compare(1)
  const ms = performance.now() - begun
  undo()
  await compare(0)
  return { ...figures, ms }
}
const never = new AbortController().signal

const turns: Record<string, () => Promise<Record<string, number>>> = {
  turn: () => compare(0),
  edit: afterEdit,
  watch: seen,
}
process.on("message", (what: string) => void turns[what]!().then((figures) => process.send!(figures)))
process.on("disconnect", () => process.exit())
