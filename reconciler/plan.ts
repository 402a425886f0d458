/** What must be done, as values: desired and observed go in, changes come out. Nothing here touches the world. */
import { absent } from "./absence.ts"
import type { Change, Stall } from "./action.ts"
import { fullName, misplaced, openRoom, type Place, placeNamer } from "./cells.ts"
import { withoutCycles } from "./cycles.ts"
import { type Contest, grantHosts, holdersOf } from "./hosts.ts"
import { entriesOf, type LedgerEntry, type ObservedSecret } from "./ledger.ts"
import {
  believed,
  declaredEntry,
  expectedDatabase,
  type Facts,
  present,
  record,
  type Result,
} from "./lifecycle.ts"
import { isOurName, type Marker, type Tenant, type TenantId, transitDatabaseName } from "./tenant.ts"

/** A database that Neon lists. `marker`: null where it has none of ours, undefined where nobody looked. */
export type ObservedDatabase = Place & { marker: Marker | null | undefined }

export type Observed = { databases: readonly ObservedDatabase[]; secrets: readonly ObservedSecret[] }

/** What the files and the settings say. */
export type Desired = Pick<Facts, "fleet" | "version" | "gracePeriod"> & {
  /** The names of the cells that are configured, in their order. */
  cells: readonly string[]
  tenants: readonly Tenant[]
  /** Ids that a file names but that cannot be trusted now (declared twice): left as they are. */
  held: ReadonlySet<TenantId>
}

export type Diff = {
  changes: readonly Change[]
  stalls: readonly Stall[]
  /** Hosts that files declare and that other tenants have. */
  contests: readonly Contest[]
  /** Of those with a change or a stall, whose database is listed where the ledger has it: the cell. */
  homes: ReadonlyMap<TenantId, string>
  /** Databases that the ledger has and nobody sees: their names stay taken until the tenants are made anew or forgotten. */
  unseen: readonly Place[]
  /** What is there and not ours: shown, and never written. */
  unmanaged: { databases: readonly Place[]; secrets: readonly string[] }
}

/** Databases that are named as ours and that no entry of the ledger explains, as cell/name: their markers must be read. */
export const unexplained = ({ unmanaged }: Pick<Diff, "unmanaged">): string[] =>
  unmanaged.databases.filter(({ name }) => isOurName(name)).map(fullName)

/**
 * The cells whose markers have to be read before a diff can be believed. A tenant whose database is listed where the
 * ledger has it is looked for there; any other may be anywhere. `strangers`: databases that are known, as cell/name.
 */
export function cellsInQuestion(
  { changes, stalls, homes, unmanaged }: Omit<Diff, "contests">,
  cells: readonly string[],
  strangers: ReadonlySet<string>,
): Set<string> {
  const found = new Set<string>()
  for (const place of unmanaged.databases)
    if (isOurName(place.name) && !strangers.has(fullName(place))) found.add(place.cell)
  for (const { tenant } of [...changes, ...stalls]) {
    const home = homes.get(tenant)
    if (home === undefined) return new Set(cells)
    found.add(home)
  }
  return found
}

/** What is there of one tenant, and what is wanted. */
type Known = {
  id: TenantId
  tenant: Tenant | undefined
  secret: ObservedSecret | undefined
  /** What the secret's tags say, where it is this fleet's. */
  entry: LedgerEntry | undefined
  /** The databases that carry its marker. */
  bearers: ObservedDatabase[] | undefined
}

/** Of every tenant that a file, the ledger or a marker names, in the order of the ids. */
function knownById({ fleet, tenants }: Desired, { databases, secrets }: Observed): Known[] {
  const known = new Map<TenantId, Known>()
  const strangers = new Map<string | undefined, ObservedSecret>()
  const under = (id: TenantId): Known => {
    let one = known.get(id)
    if (!one) {
      one = { id, tenant: undefined, secret: strangers.get(id), entry: undefined, bearers: undefined }
      known.set(id, one)
    }
    return one
  }
  for (const secret of secrets) if (secret.entry?.fleet !== fleet) strangers.set(idIn(secret), secret)
  for (const secret of secrets) {
    const { entry } = secret
    if (entry?.fleet !== fleet) continue
    const one = under(entry.id)
    one.secret = secret
    one.entry = entry
  }
  for (const tenant of tenants) under(tenant.id).tenant = tenant
  for (const database of databases) {
    const { marker } = database
    if (marker?.fleet === fleet) (under(marker.tenant).bearers ??= []).push(database)
  }
  // The vault lists its secrets in order, which leaves little to sort.
  return [...known.values()].toSorted((one, other) => (one.id < other.id ? -1 : 1))
}

/** What must be done to make the observed world the desired one. `now` in milliseconds since 1970. */
export function diff(desired: Desired, observed: Observed, now: number): Diff {
  const { fleet, cells, version, gracePeriod } = desired
  const known = knownById(desired, observed)
  const databases = new Map(cells.map((cell) => [cell, new Map<string, ObservedDatabase>()]))
  for (const database of observed.databases) databases.get(database.cell)?.set(database.name, database)
  const managed = new Set(known.flatMap(({ bearers }) => bearers ?? []))
  const announced = entriesOf(observed.secrets, fleet).filter(
    ({ state, cell, database }) => state === "reserved" && !databases.get(cell)?.has(database),
  )
  const room = openRoom(cells, [...observed.databases, ...announced])

  type Found = {
    facts: Facts
    tenant: Tenant | undefined
    stall?: Stall | undefined
    home: string | undefined
  }
  const found = known.map(({ id, tenant, secret, entry, bearers }): Found => {
    const candidate = entry && expected(entry, databases.get(entry.cell))
    const isOurs = candidate && mayBe(candidate, entry)
    const seen = bearers?.[0] ?? (isOurs ? candidate : undefined)
    if (seen) managed.add(seen)
    // Two reservations may name one new database, which nobody has marked yet: the first has it.
    if (seen?.marker === null) databases.get(seen.cell)!.delete(seen.name)
    const contradicted = candidate && !isOurs ? candidate.name : undefined
    const located = seen?.name
    const truth = believed({ id, secret, entry: entry && seen ? inCell(entry, seen.cell) : entry, located })
    const lives = seen?.cell ?? entry?.cell
    const isNew = tenant !== undefined && secret === undefined && lives === undefined
    const cell = lives ?? (isNew ? room(tenant) : cells[0])
    const facts: Facts = {
      id,
      fleet,
      cell: cell ?? "",
      version,
      gracePeriod,
      now,
      secret,
      entry: truth,
      isTampered: truth !== entry,
      located,
      contradicted,
    }
    const name = tenant?.name ?? truth?.name ?? id
    const home = seen && seen.cell === entry?.cell ? seen.cell : undefined
    if (bearers && bearers.length > 1)
      return { facts, tenant, home, stall: ambiguous(id, name, bearers, cells) }
    if (secret && secret.owner !== fleet) return { facts, tenant, home, stall: taken(id, name, secret) }
    const obstacle = misplaced(cells, { home: lives, wanted: tenant?.cell, cell })
    return { facts, tenant, home, stall: obstacle && { tenant: id, name, ...obstacle } }
  })
  const holders = holdersOf(found.flatMap(({ facts }) => facts.entry ?? []))
  const contests: Contest[] = []
  const homes = new Map<TenantId, string>()
  const unseen: Place[] = []
  const results = found.map(({ facts, tenant, stall, home }) => {
    const result = resultOf(facts, tenant, stall)
    if (result && home !== undefined) homes.set(facts.id, home)
    const { entry, located } = facts
    if (entry && !located && mayHave(entry, cells) && !isCreate(result))
      unseen.push({ cell: entry.cell, name: entry.database })
    return result
  })
  function resultOf(facts: Facts, tenant: Tenant | undefined, stall: Stall | undefined) {
    if (desired.held.has(facts.id)) return undefined
    if (stall) return stall
    if (!tenant) return absent(facts)
    if (!tenant.hosts) return present(facts, tenant)
    const { granted, contested } = grantHosts(tenant, facts.entry, holders)
    if (contested.length > 0) {
      const change = takeHosts(facts, tenant)
      contests.push(...contested.map((contest) => ({ ...contest, change })))
    }
    return present(facts, { ...tenant, hosts: granted })
  }
  return {
    changes: withoutCycles(results.filter((result) => result !== undefined && "actions" in result)),
    stalls: results.filter((result) => result !== undefined && "reason" in result),
    contests,
    homes,
    unseen,
    unmanaged: {
      databases: observed.databases
        .filter((database) => !managed.has(database))
        .map(({ cell, name }) => ({ cell, name }))
        .toSorted((a, b) => cells.indexOf(a.cell) - cells.indexOf(b.cell) || (a.name < b.name ? -1 : 1)),
      secrets: observed.secrets
        .filter(({ owner }) => owner !== fleet)
        .map(({ name }) => name)
        .toSorted(),
    },
  }
}

/** Whether a database of this name may be there: what is only reserved may be made already where nobody can look. */
const mayHave = ({ state, cell }: LedgerEntry, cells: readonly string[]): boolean =>
  state === "active" || state === "suspended" || (state === "reserved" && !cells.includes(cell))

const isCreate = (result: Result): boolean =>
  result !== undefined && "actions" in result && result.actions.some(({ kind }) => kind === "create")

/** What follows once the hosts that the file declares are free. */
const takeHosts = (facts: Facts, tenant: Tenant): Change => ({
  kind: "update",
  tenant: facts.id,
  name: tenant.name,
  cell: facts.cell,
  actions: [record(declaredEntry(facts, { ...tenant, hosts: tenant.hosts?.toSorted() }))],
})

/** What stands where a tenant's id does in the secret's name. */
const idIn = ({ name, entry }: ObservedSecret): string | undefined =>
  entry?.id ?? /^tenant-(.+)$/.exec(name.toLowerCase())?.[1]

/** The database that the ledger's names lead to, of those in the ledger's cell; undefined where that is not configured. */
function expected(
  entry: LedgerEntry,
  databases: ReadonlyMap<string, ObservedDatabase> | undefined,
): ObservedDatabase | undefined {
  return (
    databases?.get(expectedDatabase(entry)) ??
    databases?.get(entry.database) ??
    databases?.get(transitDatabaseName(entry.id))
  )
}

/** Where the marker says something else than the tag, the marker is right. */
const inCell = (entry: LedgerEntry, cell: string): LedgerEntry =>
  entry.cell === cell ? entry : { ...entry, cell }

/** Between its creation and its marking a database has no marker; only a reservation explains that. */
const mayBe = ({ marker }: ObservedDatabase, entry: LedgerEntry): boolean =>
  marker === undefined || (marker === null && entry.state === "reserved" && entry.schema === "none")

const taken = (tenant: TenantId, name: string, secret: ObservedSecret): Stall => ({
  tenant,
  name,
  reason: "SecretTaken",
  message: `secret ${secret.name} is not this fleet's: remove it, or give the tenant another id`,
})

const ambiguous = (
  tenant: TenantId,
  name: string,
  databases: readonly ObservedDatabase[],
  cells: readonly string[],
): Stall => ({
  tenant,
  name,
  reason: "MarkerAmbiguous",
  message: `more than one database carries this tenant's marker: ${databases
    .map(placeNamer(cells))
    .toSorted()
    .join(", ")}; remove the comment from those that are not the tenant's`,
})
