/** What only a person decides: one write each, made while no reconciler applies. */
import { TerminalError } from "./errors.ts"
import { type ApprovalVerb, entriesOf, type LedgerEntry } from "./ledger.ts"
import { adopt } from "./providers/postgres.ts"
import { type Review, review, type Sources, withLease } from "./reconcile.ts"
import type { Tenant } from "./tenant.ts"
import { tenantFile, writeTenantFile } from "./tenant-file.ts"
import { ownerUris, type World } from "./world.ts"

/** The ledger's entry of the tenant with this id or name. Throws TerminalError where there is none. */
function find({ observed, fleet }: Review, tenant: string): LedgerEntry {
  const entries = entriesOf(observed.secrets, fleet.fleet)
  const found = entries.filter(({ id, name }) => id === tenant.toLowerCase() || name === tenant)
  if (found.length === 1) return found[0]!
  const how = found.length === 0 ? "the ledger has no tenant" : "more than one tenant of the ledger is"
  throw new TerminalError("TenantUnknown", `${how} named ${tenant}: give the id that "tenantry status" shows`)
}

/** Allows one change of one tenant, once, until `until` (ISO 8601). The change that uses it erases it. */
export async function approve(
  sources: Sources,
  world: World,
  tenant: string,
  approval: { verb: ApprovalVerb; until: string },
): Promise<LedgerEntry> {
  return withLease(world, await review(sources, world), async () => {
    const entry = find(await review(sources, world), tenant)
    await world.vault.record({ ...entry, approval })
    return entry
  })
}

/** Asks for a new credential: the next passes make it, publish it, and close the old one. */
export async function rotate(sources: Sources, world: World, tenant: string): Promise<LedgerEntry> {
  return withLease(world, await review(sources, world), async () => {
    const entry = find(await review(sources, world), tenant)
    if (entry.state !== "active" || entry.transition) {
      const now = entry.transition ? `it is ${entry.transition}` : `it is ${entry.state}`
      throw new TerminalError("NotActive", `${entry.name} cannot rotate its credential now: ${now}`)
    }
    await world.vault.record({ ...entry, transition: "rotating" })
    return entry
  })
}

/** What an import would do, in words. Throws TerminalError where it must not be done. */
export function explainImport(
  { plan, read, observed, fleet }: Review,
  database: string,
  tenant: Tenant,
  file: string,
): string[] {
  const isHalfDone =
    observed.databases.some(
      ({ name, marker }) => name === database && marker?.fleet === fleet.fleet && marker.tenant === tenant.id,
    ) && !observed.secrets.some(({ entry }) => entry?.id === tenant.id)
  if (!isHalfDone && !plan.unmanaged.databases.includes(database)) {
    throw new TerminalError(
      "NotUnmanaged",
      `${database} is no unmanaged database of this cell: "tenantry plan" lists those`,
    )
  }
  const rival = read.tenants.find(({ id, name }) => id === tenant.id || name === tenant.name)
  if (rival)
    throw new TerminalError(
      "TenantExists",
      `${rival.file} declares ${rival.name} (${rival.id}) already: choose another id and name`,
    )
  return [
    `write the marker of tenant ${tenant.id} on the database ${database}`,
    `write ${file}`,
    `then, by the reconciler: rename ${database} to products-${tenant.name}, end its sessions, take all rights from PUBLIC,`,
    `make its roles, publish a credential, and apply the migrations that it lacks`,
  ]
}

/** Adopts an unmanaged database on purpose. The marker and the file are written while no reconciler can look. */
export async function importDatabase(
  sources: Sources,
  world: World,
  database: string,
  tenant: Tenant,
): Promise<void> {
  await withLease(world, await review(sources, world), async () => {
    const reviewed = await review(sources, world)
    explainImport(reviewed, database, tenant, tenantFile(sources.tenantsDir, tenant.name))
    await adopt(await ownerUris(world).direct(database), { fleet: reviewed.fleet.fleet, tenant: tenant.id })
    await writeTenantFile(sources.tenantsDir, tenant)
  })
}
