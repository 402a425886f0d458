/** What must be done, as values: desired and observed go in, changes come out. Nothing here touches the world. */
import { absent } from "./absence.ts"
import type { Action, Change, Stall } from "./action.ts"
import { type Contest, grantHosts, holdersOf } from "./hosts.ts"
import { entriesOf, type LedgerEntry, type ObservedSecret } from "./ledger.ts"
import { believed, declaredEntry, expectedDatabase, type Facts, present, record } from "./lifecycle.ts"
import { isOurName, type Marker, type Tenant, type TenantId, transitDatabaseName } from "./tenant.ts"

/** A database that Neon lists. `marker`: null where it has none of ours, undefined where nobody looked. */
export type ObservedDatabase = { name: string; marker: Marker | null | undefined }

export type Observed = { databases: readonly ObservedDatabase[]; secrets: readonly ObservedSecret[] }

/** What the files and the settings say. */
export type Desired = Pick<Facts, "fleet" | "cell" | "version" | "gracePeriod"> & {
  tenants: readonly Tenant[]
  /** Ids that a file names but that cannot be trusted now (declared twice): left as they are. */
  held: ReadonlySet<TenantId>
}

/** Databases that are named as ours and that no entry of the ledger explains: their markers must be read. */
export const unexplained = ({ unmanaged }: Diff): string[] => unmanaged.databases.filter(isOurName)

export type Diff = {
  changes: readonly Change[]
  stalls: readonly Stall[]
  /** Hosts that files declare and that other tenants have. */
  contests: readonly Contest[]
  /** What is there and not ours: shown, and never written. */
  unmanaged: { databases: readonly string[]; secrets: readonly string[] }
}

/** What must be done to make the observed world the desired one. `now` in milliseconds since 1970. */
export function diff(desired: Desired, observed: Observed, now: number): Diff {
  const { fleet, cell, version, gracePeriod } = desired
  const secrets = new Map(observed.secrets.map((secret) => [idIn(secret), secret]))
  const entries = entriesOf(observed.secrets, fleet)
  const databases = new Map(observed.databases.map((database) => [database.name, database]))
  const marked = Map.groupBy(
    observed.databases.filter(({ marker }) => marker?.fleet === fleet),
    ({ marker }) => marker!.tenant,
  )
  const tenants = new Map(desired.tenants.map((tenant) => [tenant.id, tenant]))
  // The vault lists its secrets in order, which leaves little to sort.
  const ids = new Set([...entries.map(({ id }) => id), ...tenants.keys(), ...marked.keys()])
  const managed = new Set([...marked.values()].flat().map(({ name }) => name))

  const found = [...ids].toSorted().map((id): { facts: Facts; stall?: Stall } => {
    const secret = secrets.get(id)
    const entry = secret?.entry?.fleet === fleet ? secret.entry : undefined
    const candidate = entry && expected(entry, databases)
    const isOurs = candidate && mayBe(candidate, entry)
    const [first, ...others] = marked.get(id) ?? []
    const located = first?.name ?? (isOurs ? candidate.name : undefined)
    if (located) managed.add(located)
    // Two reservations may name one new database, which nobody has marked yet: the first has it.
    if (located && databases.get(located)?.marker === null) databases.delete(located)
    const contradicted = candidate && !isOurs ? candidate.name : undefined
    const truth = believed({ id, secret, entry, located })
    const isTampered = truth !== entry
    const told = { id, secret, entry: truth, isTampered, located, contradicted }
    const facts: Facts = { fleet, cell, version, gracePeriod, now, ...told }
    const name = tenants.get(id)?.name ?? id
    if (others.length > 0) return { facts, stall: ambiguous(id, name, [first!, ...others]) }
    if (secret && secret.owner !== fleet) return { facts, stall: taken(id, name, secret) }
    return { facts }
  })
  const holders = holdersOf(found.flatMap(({ facts }) => facts.entry ?? []))
  const contests: Contest[] = []
  const results = found.map(({ facts, stall }) => {
    const tenant = tenants.get(facts.id)
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
  })
  return {
    changes: breakCycles(results.filter((result) => result !== undefined && "actions" in result)),
    stalls: results.filter((result) => result !== undefined && "reason" in result),
    contests,
    unmanaged: {
      databases: observed.databases
        .map(({ name }) => name)
        .filter((name) => !managed.has(name))
        .toSorted(),
      secrets: observed.secrets
        .filter(({ owner }) => owner !== fleet)
        .map(({ name }) => name)
        .toSorted(),
    },
  }
}

/** What follows once the hosts that the file declares are free. */
const takeHosts = (facts: Facts, tenant: Tenant): Change => ({
  kind: "update",
  tenant: facts.id,
  name: tenant.name,
  actions: [record(declaredEntry(facts, { ...tenant, hosts: tenant.hosts?.toSorted() }))],
})

/** What stands where a tenant's id does in the secret's name. */
const idIn = ({ name, entry }: ObservedSecret): string | undefined =>
  entry?.id ?? /^tenant-(.+)$/.exec(name.toLowerCase())?.[1]

/** The database that the ledger's names lead to. */
function expected(
  entry: LedgerEntry,
  databases: ReadonlyMap<string, ObservedDatabase>,
): ObservedDatabase | undefined {
  return (
    databases.get(expectedDatabase(entry)) ??
    databases.get(entry.database) ??
    databases.get(transitDatabaseName(entry.id))
  )
}

/** Between its creation and its marking a database has no marker; only a reservation explains that. */
const mayBe = ({ marker }: ObservedDatabase, entry: LedgerEntry): boolean =>
  marker === undefined || (marker === null && entry.state === "reserved" && entry.schema === "none")

const taken = (tenant: TenantId, name: string, secret: ObservedSecret): Stall => ({
  tenant,
  name,
  reason: "SecretTaken",
  message: `secret ${secret.name} is not this fleet's: remove it, or give the tenant another id`,
})

const ambiguous = (tenant: TenantId, name: string, databases: readonly ObservedDatabase[]): Stall => ({
  tenant,
  name,
  reason: "MarkerAmbiguous",
  message: `more than one database carries this tenant's marker: ${databases
    .map((database) => database.name)
    .toSorted()
    .join(", ")}; remove the comment from those that are not the tenant's`,
})

type Rename = Extract<Action, { kind: "rename" }>
const renameOf = (change: Change) =>
  change.actions.find((action): action is Rename => action.kind === "rename")

/** Where renames wait for each other in a circle, one of them steps aside to a name of its own first. */
function breakCycles(changes: readonly Change[]): readonly Change[] {
  const byFrom = new Map(
    changes.flatMap((change) => {
      const rename = renameOf(change)
      return rename ? [[rename.from, { change, to: rename.to }] as const] : []
    }),
  )
  const settled = new Set<string>()
  const aside = new Set<Change>()
  for (const start of byFrom.keys()) {
    const path = new Set<string>()
    let from = start
    while (byFrom.has(from) && !settled.has(from) && !path.has(from)) {
      path.add(from)
      from = byFrom.get(from)!.to
    }
    if (path.has(from)) aside.add(byFrom.get(from)!.change)
    for (const name of path) settled.add(name)
  }
  return changes.map((change) => (aside.has(change) ? stepAside(change) : change))
}

function stepAside(change: Change): Change {
  const rest = transitDatabaseName(change.tenant)
  const actions = change.actions.flatMap((action): Action[] =>
    action.kind === "rename"
      ? [
          { ...action, to: rest },
          { ...action, from: rest },
        ]
      : [action],
  )
  return { ...change, actions }
}
