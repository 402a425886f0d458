/** Looks at the world: complete, or it throws. Absence is never guessed from a failure. */
import { TransientError } from "./errors.ts"
import { entriesOf, type LedgerEntry } from "./ledger.ts"
import { expectedDatabase } from "./lifecycle.ts"
import type { Diff, Observed } from "./plan.ts"
import { createSemaphore } from "./providers/pacing.ts"
import { readMarkers } from "./providers/postgres.ts"
import { sameList } from "./same.ts"
import { type FleetId, type Marker, secretName } from "./tenant.ts"
import { MAINTENANCE_DATABASE, ownerUris, type World } from "./world.ts"

/** The lists of Neon and of the vault: one call per cell and one per 25 secrets; no database is woken. */
export async function observe({ cells, vault }: World): Promise<Observed> {
  const [lists, secrets] = await Promise.all([Promise.all(cells.map(databasesOf)), vault.list()])
  const databases = sameList(seen.get(cells), lists.flat())
  seen.set(cells, databases)
  return { databases, secrets }
}

async function databasesOf({ name: cell, list }: World["cells"][number]): Promise<Observed["databases"]> {
  const names = await list()
  const databases = unmarked.get(names) ?? names.map((name) => ({ cell, name, marker: undefined }))
  unmarked.set(names, databases)
  return databases
}

/** What was made of a cell's names, and of all cells', for as long as those are there: the same is the same value. */
const unmarked = new WeakMap<readonly string[], Observed["databases"]>()
const seen = new WeakMap<World["cells"], Observed["databases"]>()

/**
 * The same with the marker of each database in these cells, which only the cell's server knows. Throws TransientError
 * where that server has a database of ours that Neon's list does not: then the list is stale or cut short, and proves
 * nothing.
 */
export async function observeMarkers(
  world: World,
  observed: Observed,
  { fleet, cells }: { fleet: FleetId; cells: ReadonlySet<string> },
): Promise<Observed> {
  const uris = ownerUris(world)
  const read = async (cell: string) => {
    const listed = observed.databases.filter((database) => database.cell === cell).map(({ name }) => name)
    const entries = entriesOf(observed.secrets, fleet).filter((entry) => entry.cell === cell)
    const existing = listed[0]
    if (existing === undefined) return assertEmpty(cell, entries)
    const uri = await uris(cell).direct(existing, MAINTENANCE_DATABASE)
    const markers = await world.sql(() => readMarkers(uri))
    assertListed(cell, { listed, markers, entries, fleet })
    return markers
  }
  const markers = new Map(
    await Promise.all([...cells].map(async (cell) => [cell, await read(cell)] as const)),
  )
  return {
    ...observed,
    databases: observed.databases.map((database) => {
      const found = markers.get(database.cell)
      return found ? { ...database, marker: found.get(database.name) ?? null } : database
    }),
  }
}

/** A branch without any database cannot be told from a list that is empty by mistake. */
function assertEmpty(cell: string, entries: readonly LedgerEntry[]): Map<string, Marker | null> {
  const known = entries.find(({ state }) => state !== "reserved")
  if (!known) return new Map()
  throw new TransientError(
    "ListIncomplete",
    `Neon's list of ${cell} is empty, and the ledger says that ${expectedDatabase(known)} is there: is it the right branch?`,
  )
}

function assertListed(
  cell: string,
  {
    listed,
    markers,
    entries,
    fleet,
  }: {
    listed: readonly string[]
    markers: ReadonlyMap<string, Marker | null>
    entries: readonly LedgerEntry[]
    fleet: FleetId
  },
): void {
  const names = new Set(listed)
  const reserved = new Set(entries.map(({ state, database }) => state === "reserved" && database))
  for (const [name, marker] of markers) {
    const isOurs = marker ? marker.fleet === fleet : reserved.has(name)
    if (!isOurs || names.has(name)) continue
    throw new TransientError(
      "ListIncomplete",
      `Neon's list of ${cell} lacks ${name}, which its Postgres has: the list is stale or cut short`,
    )
  }
}

/** How many secrets are asked for at once. */
const LOOKS = 16

/**
 * Throws TransientError where the vault has a secret that its list lacks, of a tenant that the changes would write:
 * then the list is stale or cut short, and a credential that is in use would be replaced.
 */
export async function proveAbsent(
  { vault }: World,
  { secrets }: Observed,
  { changes }: Pick<Diff, "changes">,
): Promise<void> {
  const listed = new Set(secrets.map(({ name }) => name.toLowerCase()))
  const look = createSemaphore(LOOKS, "vault looks")
  await Promise.all(
    changes
      .filter(({ tenant }) => !listed.has(secretName(tenant)))
      .map(({ tenant }) =>
        look(async () => {
          if (!(await vault.has(tenant))) return
          throw new TransientError(
            "ListIncomplete",
            `the vault's list lacks ${secretName(tenant)}, which the vault has: the list is stale or cut short`,
          )
        }),
      ),
  )
}
