/**
 * What only a person decides: one write each, made while no reconciler applies. It never enables a secret: that one may
 * hold a password that a repair, which was cut short, has replaced.
 */
import { existsSync } from "node:fs"
import { type Place, placeNamer } from "./cells.ts"
import { TerminalError } from "./errors.ts"
import { Hosts } from "./host-name.ts"
import { type ApprovalVerb, entriesOf, type LedgerEntry } from "./ledger.ts"
import { isSafeName } from "./providers/neon.ts"
import { adopt } from "./providers/postgres.ts"
import { type Review, review, type Sources, withLease } from "./reconcile.ts"
import { isSameName, type Tenant, TenantName } from "./tenant.ts"
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

/** The ledger's entry of the tenant with this id or name, as it is now. Throws TerminalError where there is none. */
export const entryOf = async (sources: Sources, world: World, tenant: string): Promise<LedgerEntry> =>
  find(await review(sources, world), tenant)

/** Allows one change of one tenant, once, until `until` (ISO 8601). The change that uses it erases it. */
export async function approve(
  sources: Sources,
  world: World,
  tenant: string,
  approval: { verb: ApprovalVerb; until: string },
): Promise<LedgerEntry> {
  return withLease(world, await review(sources, world), async () => {
    const entry = find(await review(sources, world), tenant)
    if (entry.state === "purging")
      throw new TerminalError("BeingPurged", `${entry.name} is being purged: there is nothing left to allow`)
    await world.vault.annotate({ ...entry, approval })
    return entry
  })
}

/**
 * The ledger's entry of a tenant whose data may be deleted before its grace period is over. Throws TerminalError that
 * says why it may not: it is declared, not retired, or protected, or nothing may be deleted now.
 */
export async function purgeable(sources: Sources, world: World, tenant: string): Promise<LedgerEntry> {
  return assertPurgeable(await review(sources, world), tenant)
}

/** Allows the purge of such a tenant, once, until `until` (ISO 8601); the reconciler does it. */
export async function purge(
  sources: Sources,
  world: World,
  tenant: string,
  until: string,
): Promise<LedgerEntry> {
  return withLease(world, await review(sources, world), async () => {
    const entry = assertPurgeable(await review(sources, world), tenant)
    await world.vault.annotate({ ...entry, approval: { verb: "purge", until } })
    return entry
  })
}

function assertPurgeable(reviewed: Review, tenant: string): LedgerEntry {
  const entry = find(reviewed, tenant)
  const { id, name, state } = entry
  const refuse = (why: string) => new TerminalError("NotPurgeable", `${name} cannot be purged: ${why}`)
  const file = reviewed.read.tenants.find((declared) => declared.id === id)?.file
  if (file) throw refuse(`${file} declares it; remove the file, and let the reconciler retire it first`)
  if (reviewed.read.held.has(id)) throw refuse("a faulty file names it; see tenantry validate")
  if (state === "purging") throw refuse("it is being purged already")
  if (state !== "retired") throw refuse(`it is ${state}, and only what is retired can be purged`)
  if (entry.protected) {
    throw refuse(
      `it is protected; restore its file, take "protected: true" out, let the reconciler record that, and remove the file again`,
    )
  }
  if (reviewed.fleet.deletion === "forbid") throw refuse("fleet.yaml says deletion: forbid")
  const faults = reviewed.read.problems.length
  if (faults > 0) throw refuse(`nothing is deleted while files are faulty (${faults}); see tenantry validate`)
  return entry
}

/**
 * Writes the file of a tenant that the ledger knows and no file declares, under its name or another; what follows is
 * the reconciler's. Returns the file, and which of the tenant's hosts are another's now, such as "a.example
 * (tenants/b.yaml)". Throws TerminalError where the tenant cannot be had back so.
 */
export async function restoreFile(
  sources: Sources,
  world: World,
  tenant: string,
  otherName: TenantName | undefined,
): Promise<{ entry: LedgerEntry; file: string; lost: string[] }> {
  const { read, ...reviewed } = await review(sources, world)
  const entry = find({ read, ...reviewed }, tenant)
  const refuse = (why: string) =>
    new TerminalError("NotRestorable", `${entry.name} cannot be restored: ${why}`)
  const declared = read.tenants.find(({ id }) => id === entry.id)
  if (declared) throw refuse(`${declared.file} declares it`)
  if (read.held.has(entry.id)) throw refuse("a faulty file names it; see tenantry validate")
  if (entry.state === "purging") throw refuse("its data is being deleted; make a new tenant")
  const name = otherName ?? TenantName.safeParse(entry.name).data
  if (!name) throw refuse("the ledger's name of it is none that a file can hold; give one by --name")
  const rival = read.tenants.find((other) => isSameName(other.name, name))
  if (rival) throw refuse(`${rival.file} declares a tenant named ${rival.name}; give another name by --name`)
  const taken = new Map(read.tenants.flatMap((other) => other.hosts?.map((host) => [host, other.file]) ?? []))
  const hosts = Hosts.safeParse(entry.hosts ?? []).data ?? []
  const free = hosts.filter((host) => !taken.has(host))
  const file = await writeTenantFile(sources.tenantsDir, {
    id: entry.id,
    name,
    ...(entry.state === "suspended" ? { suspended: true } : {}),
    ...(entry.protected ? { protected: true } : {}),
    ...(free.length > 0 ? { hosts: free } : {}),
  })
  const lost = hosts.filter((host) => taken.has(host)).map((host) => `${host} (${taken.get(host)})`)
  return { entry, file, lost }
}

/** Asks for a new credential: the next passes make it, publish it, and close the old one. */
export async function rotate(sources: Sources, world: World, tenant: string): Promise<LedgerEntry> {
  return withLease(world, await review(sources, world), async () => {
    const entry = find(await review(sources, world), tenant)
    if (entry.state !== "active" || entry.transition) {
      const now = entry.transition ? `it is ${entry.transition}` : `it is ${entry.state}`
      throw new TerminalError("NotActive", `${entry.name} cannot rotate its credential now: ${now}`)
    }
    await world.vault.annotate({ ...entry, transition: "rotating" })
    return entry
  })
}

/** The cell that has the database, which is to be imported. Throws TerminalError where none has it, or more than one. */
function cellToImportFrom({ plan, observed, fleet, cells }: Review, what: ToImport): string {
  const { database, cell, tenant } = what
  const isNew = !observed.secrets.some(({ entry }) => entry?.id === tenant.id)
  const halfDone = observed.databases.filter(
    ({ marker }) => isNew && marker?.fleet === fleet.fleet && marker.tenant === tenant.id,
  )
  const found = new Set(
    [...halfDone, ...plan.unmanaged.databases]
      .filter((place) => place.name === database && (cell === undefined || place.cell === cell))
      .map((place: Place) => place.cell),
  )
  const [first, ...others] = found
  if (first === undefined) {
    const where = cells.length === 1 ? "of this cell" : `of ${cell ?? "any cell"}`
    throw new TerminalError(
      "NotUnmanaged",
      `${database} is no unmanaged database ${where}: "tenantry plan" lists those`,
    )
  }
  if (others.length === 0) return first
  throw new TerminalError(
    "CellAmbiguous",
    `${database} is an unmanaged database of more than one cell: say by --cell which is meant: ${[...found].join(", ")}`,
  )
}

/** A database and who it is to be; `cell` where more than one may have such a database. */
export type ToImport = { database: string; cell: string | undefined; tenant: Tenant }

/** What an import would do, in words. Throws TerminalError where it must not be done. */
export function explainImport(reviewed: Review, what: ToImport, file: string): string[] {
  const { read, observed, fleet, cells } = reviewed
  const { database, tenant } = what
  if (!isSafeName(database)) {
    throw new TerminalError(
      "UnsafeName",
      `${JSON.stringify(database)} is a name that cannot be part of a URL, so Neon could not rename it: give the database a plain name first, by SQL`,
    )
  }
  const cell = cellToImportFrom(reviewed, what)
  const known = entriesOf(observed.secrets, fleet.fleet).find(
    ({ id, name, state }) => id === tenant.id || (state !== "retired" && isSameName(name, tenant.name)),
  )
  if (known || read.held.has(tenant.id))
    throw new TerminalError(
      "TenantExists",
      `the ledger or a faulty file has ${known?.name ?? "a tenant"} (${known?.id ?? tenant.id}) already: choose another id and name`,
    )
  if (existsSync(file))
    throw new TerminalError("FileExists", `${file}: is there already; choose another name`)
  const rival = read.tenants.find(({ id, name }) => id === tenant.id || isSameName(name, tenant.name))
  if (rival)
    throw new TerminalError(
      "TenantExists",
      `${rival.file} declares ${rival.name} (${rival.id}) already: choose another id and name`,
    )
  return [
    `write the marker of tenant ${tenant.id} on the database ${placeNamer(cells)({ cell, name: database })}`,
    `write ${file}`,
    `then, by the reconciler: rename ${database} to products-${tenant.name}, end its sessions, take all rights from PUBLIC,`,
    `make its roles, publish a credential, and apply the migrations that it lacks`,
  ]
}

/** Adopts an unmanaged database on purpose. The marker and the file are written while no reconciler can look. */
export async function importDatabase(sources: Sources, world: World, what: ToImport): Promise<void> {
  const { database, tenant } = what
  await withLease(world, await review(sources, world), async () => {
    const reviewed = await review(sources, world)
    explainImport(reviewed, what, tenantFile(sources.tenantsDir, tenant.name))
    const uris = ownerUris(world)(cellToImportFrom(reviewed, what))
    await adopt(await uris.direct(database), { fleet: reviewed.fleet.fleet, tenant: tenant.id })
    await writeTenantFile(sources.tenantsDir, tenant)
  })
}
