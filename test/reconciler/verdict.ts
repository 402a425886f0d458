/** Whether a simulated world is what the files declare: one line for each thing that is not. */
import { isDeepStrictEqual } from "node:util"
import { fullName } from "../../reconciler/cells.ts"
import { fromTags, type LedgerEntry, toTags } from "../../reconciler/ledger.ts"
import { diff } from "../../reconciler/plan.ts"
import {
  databaseName,
  loginRole,
  otherSlot,
  retiredDatabaseName,
  secretName,
  type TenantId,
} from "../../reconciler/tenant.ts"
import { desiredOf, type Files, observeLists, observeMarkers } from "./passes.ts"
import { cellOf, FLEET, hostsLeadingTo, served, type SimulatedWorld } from "./simulation.ts"

/**
 * Tenants whose wanted name is not to be had: a stranger's database has it, or that of a tenant who is protected from
 * removal, or a tenant's that is itself in that position.
 */
export function blockedBy(world: SimulatedWorld, { tenants }: Files): Set<TenantId> {
  const declared = new Set<string>(tenants.map(({ id }) => id))
  const keepers = [...world.secrets.keys()]
    .map((name) => name.slice("tenant-".length) as TenantId)
    .filter((id) => !declared.has(id) && entryOf(world, id)?.protected)
  const blocked = new Set<string>(["foreign", ...keepers])
  for (let size = 0; size !== blocked.size;) {
    size = blocked.size
    for (const { id, name } of tenants) {
      // A stranger is in nobody's way but in its own cell. Whoever has no cell yet is placed where there is room, be its
      // name free there or not.
      const home = entryOf(world, id)?.cell
      const holders = world.cells.flatMap((cell) =>
        holdersOf(world, fullName({ cell, name: databaseName(name) })).filter(
          (holder) => holder !== "foreign" || home === undefined || home === cell,
        ),
      )
      if (holders.some((holder) => holder !== id && blocked.has(holder))) blocked.add(id)
    }
  }
  for (const holder of ["foreign", ...keepers]) blocked.delete(holder)
  return blocked as Set<TenantId>
}

/** Whose the database at "cell/name" is, or, while it is nobody's yet, all who have announced it. */
function holdersOf(world: SimulatedWorld, place: string): string[] {
  const owner = world.databases.get(place)?.owner
  if (owner !== "nobody") return owner ? [owner] : []
  return [...world.secrets]
    .filter(([, { tags }]) => tags["state"] === "reserved" && `${tags["cell"]}/${tags["database"]}` === place)
    .map(([name]) => name.slice("tenant-".length))
}

/** What is wrong with tenants that must wait for a name: whoever was served before is served still. */
export function faultsOfBlocked(world: SimulatedWorld, blocked: ReadonlySet<TenantId>): string[] {
  return [...blocked].flatMap((id) => {
    const own = [...world.databases.values()].find(({ owner }) => owner === id)
    const isActive = entryOf(world, id)?.state === "active"
    return isActive && (!own || served(world, id) !== own) ? [`${id} waits for a name and is not served`] : []
  })
}

/** Harm that was done on the way, and every difference between the world and the files; none in a good world. */
export function faultsOf(world: SimulatedWorld, files: Files): string[] {
  const declared = new Set(files.tenants.map(({ id }) => id))
  const desired = declared.union(files.held)
  // Whoever is served without a file keeps its hosts.
  const strangers = [...world.secrets].filter(
    ([name]) => !declared.has(name.slice("tenant-".length) as TenantId),
  )
  const kept = new Set(strangers.flatMap(([, secret]) => hostsLeadingTo(secret)))
  return [
    ...world.harm,
    ...files.tenants.flatMap((tenant) => faultsOfServed(world, tenant, kept)),
    ...[...ownersOf(world)].filter((id) => !desired.has(id)).flatMap((id) => faultsOfAbsent(world, id)),
    ...leftovers(world, desired),
    ...restless(world, files),
  ]
}

const ownersOf = (world: SimulatedWorld): Set<TenantId> =>
  new Set(
    [...world.databases.values()].flatMap(({ owner }) =>
      owner === "foreign" || owner === "nobody" ? [] : [owner],
    ),
  )

const entryOf = (world: SimulatedWorld, id: TenantId): LedgerEntry | undefined =>
  fromTags(secretName(id), world.secrets.get(secretName(id))?.tags)

/** In any cell. */
const isOpen = (world: SimulatedWorld, id: TenantId, slot: "a" | "b") =>
  world.cells.some((cell) => world.roles.get(fullName({ cell, name: loginRole(id, slot) }))?.login)

/** Where the tenant's data is, as cell/name. */
const placeOf = (world: SimulatedWorld, id: TenantId): string | undefined =>
  [...world.databases].find(([, { owner }]) => owner === id)?.[0]

function faultsOfServed(
  world: SimulatedWorld,
  tenant: Files["tenants"][number],
  kept: ReadonlySet<string>,
): string[] {
  const { id, name, seed, suspended } = tenant
  const entry = entryOf(world, id)
  const slot = entry?.slot ?? "a"
  const place = placeOf(world, id) ?? "nowhere/"
  const database = world.databases.get(place)
  const cell = cellOf(place)
  if (!database || place !== fullName({ cell, name: databaseName(name) }))
    return [`${name}: its database is ${place}`]
  const expected: LedgerEntry = {
    id,
    fleet: FLEET,
    name,
    cell,
    database: databaseName(name),
    state: suspended ? "suspended" : "active",
    schema: world.version,
    slot,
    ...(tenant.protected ? { protected: true } : {}),
    hosts: tenant.hosts?.filter((host) => !kept.has(host)).toSorted(),
    // One that nothing has used stays until it is overwritten; it expires.
    approval: entry?.approval,
  }
  const faults = {
    "is not served": !suspended && served(world, id) !== database,
    "is served though suspended": suspended && (served(world, id) !== undefined || isOpen(world, id, slot)),
    "has a second login open": isOpen(world, id, otherSlot(slot)),
    "has an old schema": database.schema !== world.version,
    "has not its seed": seed !== undefined && !database.seeds.includes(seed),
    [`has the entry ${JSON.stringify(entry)}`]: !isDeepStrictEqual(
      toTags(expected),
      world.secrets.get(secretName(id))?.tags,
    ),
  }
  return linesOf(name, faults)
}

/** Whoever has no file is retired, unless the ledger protects them and nobody has allowed it. */
function faultsOfAbsent(world: SimulatedWorld, id: TenantId): string[] {
  const entry = entryOf(world, id)
  if (entry?.protected && entry.state !== "retired") {
    const { verb, until } = entry.approval ?? { verb: undefined, until: "" }
    const isAllowed = verb === "retire" && Date.parse(until) > world.now
    const own = world.databases.values().find(({ owner }) => owner === id)
    return linesOf(id, {
      "is not retired though a person allowed it": isAllowed,
      "is kept with an old schema":
        entry.state !== "reserved" && !entry.transition && own?.schema !== world.version,
    })
  }
  const faults = {
    "is not on its shelf": !placeOf(world, id)?.endsWith(`/${retiredDatabaseName(id)}`),
    "is not where the ledger has it": cellOf(placeOf(world, id) ?? "nowhere/") !== entry?.cell,
    "may log in": isOpen(world, id, "a") || isOpen(world, id, "b"),
    "can be read": world.secrets.get(secretName(id))?.enabled,
    [`has the entry ${JSON.stringify(entry)}`]: entry?.state !== "retired" || !entry.retiredAt,
  }
  return linesOf(id, faults)
}

/** What belongs to nobody any more, and whoever has more than one database. What is protected waits for a person. */
function leftovers(world: SimulatedWorld, desired: ReadonlySet<TenantId>): string[] {
  const owners = ownersOf(world)
  const isKnown = (id: string) =>
    desired.has(id as TenantId) || owners.has(id as TenantId) || entryOf(world, id as TenantId)?.protected
  const owned = [...world.databases.values()]
    .map(({ owner }) => owner)
    .filter((owner) => owner !== "foreign" && owner !== "nobody")
  return [
    ...[...world.databases]
      .filter(([name, { owner }]) => owner === "nobody" && !holdersOf(world, name).some(isKnown))
      .map(([name]) => `left: ${name}`),
    ...owned.filter((owner, n) => owned.indexOf(owner) !== n).map((owner) => `${owner} has two databases`),
    ...[...world.roles.keys()]
      .filter((role) => !isKnown(role.slice(role.indexOf("/tenant_") + "/tenant_".length, -2)))
      .map((role) => `left: ${role}`),
    ...[...world.secrets]
      .filter(([name, { tags }]) => tags["fleet"] === FLEET && !isKnown(name.slice("tenant-".length)))
      .map(([name]) => `left: ${name}`),
  ]
}

/** A world that is as declared gives nothing to do, whether markers were read or not. */
function restless(world: SimulatedWorld, files: Files): string[] {
  return [observeLists(world), observeMarkers(world)].flatMap((observed) => {
    const { changes, stalls } = diff(desiredOf(world, files), observed, world.now)
    return [
      ...changes
        .filter(({ isProtected, isApproved }) => !isProtected || isApproved)
        .map(({ kind, name }) => `still to do: ${kind} ${name}`),
      ...stalls.map(({ reason, name }) => `stalled: ${name} ${reason}`),
    ]
  })
}

const linesOf = (who: string, faults: Record<string, boolean | undefined>): string[] =>
  Object.entries(faults).flatMap(([what, isSo]) => (isSo ? [`${who} ${what}`] : []))
