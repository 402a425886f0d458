/** Looks at the world: complete, or it throws. Absence is never guessed from a failure. */
import { TransientError } from "./errors.ts"
import { entriesOf } from "./ledger.ts"
import { expectedDatabase } from "./lifecycle.ts"
import type { Diff, Observed } from "./plan.ts"
import { createSemaphore } from "./providers/pacing.ts"
import { readMarkers } from "./providers/postgres.ts"
import { type FleetId, secretName } from "./tenant.ts"
import { MAINTENANCE_DATABASE, ownerUris, type World } from "./world.ts"

/** The lists of Neon and of the vault: one call per cell and one per 25 secrets; no database is woken. */
export async function observe({ neon, vault }: World): Promise<Observed> {
  const [names, secrets] = await Promise.all([neon.list(), vault.list()])
  const databases = unmarked.get(names) ?? names.map((name) => ({ name, marker: undefined }))
  unmarked.set(names, databases)
  return { databases, secrets }
}

/** What was made of a list of names, for as long as that list is there: the same is the same value. */
const unmarked = new WeakMap<readonly string[], Observed["databases"]>()

/**
 * The same with each database's marker, which only the databases' server knows. Throws TransientError where that
 * server has a database of ours that Neon's list does not: then the list is stale or cut short, and proves nothing.
 */
export async function observeMarkers(world: World, observed: Observed, fleet: FleetId): Promise<Observed> {
  const existing = observed.databases[0]?.name
  if (!existing) {
    // A branch without any database cannot be told from a list that is empty by mistake.
    const known = entriesOf(observed.secrets, fleet).find(({ state }) => state !== "reserved")
    if (!known) return observed
    throw new TransientError(
      "ListIncomplete",
      `Neon's list is empty, and the ledger says that ${expectedDatabase(known)} is there: is it the right branch?`,
    )
  }
  const uri = await ownerUris(world).direct(existing, MAINTENANCE_DATABASE)
  const markers = await world.sql(() => readMarkers(uri))
  const listed = new Set(observed.databases.map(({ name }) => name))
  const reserved = new Set(observed.secrets.map(({ entry }) => entry?.state === "reserved" && entry.database))
  for (const [name, marker] of markers) {
    const isOurs = marker ? marker.fleet === fleet : reserved.has(name)
    if (!isOurs || listed.has(name)) continue
    throw new TransientError(
      "ListIncomplete",
      `Neon's list lacks ${name}, which its Postgres has: the list is stale or cut short`,
    )
  }
  return {
    ...observed,
    databases: observed.databases.map(({ name }) => ({ name, marker: markers.get(name) ?? null })),
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
