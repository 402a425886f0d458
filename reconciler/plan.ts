/**
 * What must be done, as values: desired and observed go in, a plan comes out. Nothing here touches the world.
 *
 * Each action is one write to one system, and a tenant's actions are in such an order that wherever they are cut
 * short, what is left can be observed and finished: an entry in the ledger is written before what it announces is
 * made, and the write that says "done" comes last.
 */
import type { LedgerEntry, ObservedSecret } from "./ledger.ts"
import {
  databaseName,
  type FleetId,
  type Marker,
  retiredDatabaseName,
  secretName,
  type Slot,
  type Tenant,
  type TenantId,
  transitDatabaseName,
} from "./tenant.ts"

/** A database that Neon lists. `marker`: null where it has none of ours, undefined where nobody looked. */
export type ObservedDatabase = { name: string; marker: Marker | null | undefined }

export type Observed = { databases: readonly ObservedDatabase[]; secrets: readonly ObservedSecret[] }

/** The same with the markers that were read. */
export const withMarkers = (observed: Observed, markers: ReadonlyMap<string, Marker | null>): Observed => ({
  ...observed,
  databases: observed.databases.map(({ name }) => ({ name, marker: markers.get(name) })),
})

/** One write to one system, with all that it needs to know. */
export type Action =
  | { kind: "reserve"; entry: LedgerEntry } // vault: disabled secret, tags only
  | { kind: "create"; database: string } // Neon
  | { kind: "secure"; database: string } // SQL: marker, roles, grants
  | { kind: "migrate"; database: string } // SQL
  | { kind: "seed"; database: string; seed: string } // SQL
  | { kind: "credential"; database: string; slot: Slot } // SQL: a new password for one login role
  | { kind: "publish"; entry: LedgerEntry; database: string; credential: "new" | "kept" } // vault: value and tags
  | { kind: "record"; entry: LedgerEntry } // vault: tags
  | { kind: "unpublish"; entry: LedgerEntry } // vault: disabled, tags
  | { kind: "close"; database: string } // SQL: no login, sessions ended
  | { kind: "open"; slot: Slot } // SQL: login
  | { kind: "rename"; from: string; to: string } // Neon
  | { kind: "drop"; database: string } // Neon
  | { kind: "drop-roles" } // SQL
  | { kind: "forget" } // vault: soft delete

/** The database name that must be free before the action. */
export const claimedBy = (action: Action): string | undefined => {
  if (action.kind === "create") return action.database
  return action.kind === "rename" ? action.to : undefined
}

/** The database name that is free after the action. */
export const vacatedBy = (action: Action): string | undefined => {
  if (action.kind === "drop") return action.database
  return action.kind === "rename" ? action.from : undefined
}

export type ChangeKind = "create" | "rename" | "migrate" | "repair" | "restore" | "retire" | "purge"

/** All that is to be done for one tenant, in order. */
export type Change = { kind: ChangeKind; tenant: TenantId; name: string; actions: readonly Action[] }

/** A tenant that only a person can help. `reason` is a condition's reason. */
export type Stall = { tenant: TenantId; name: string; reason: string; message: string }

export type Diff = { changes: readonly Change[]; stalls: readonly Stall[] }

/** What the files and the settings say; `version` is the schema's, see migrations.ts. */
export type Desired = {
  fleet: FleetId
  cell: string
  tenants: readonly Tenant[]
  /** Ids that a file names but that cannot be trusted now (declared twice): left as they are. */
  held: ReadonlySet<TenantId>
  version: string
  gracePeriod: number
}

/** The name that the ledger lets us expect in the list. */
const expectedDatabase = (entry: LedgerEntry) =>
  entry.state === "retired" ? retiredDatabaseName(entry.id) : entry.database

/** What must be done to make the observed world the desired one. `now` in milliseconds since 1970. */
export function diff(desired: Desired, observed: Observed, now: number): Diff {
  const secrets = new Map(observed.secrets.map((secret) => [secret.name.toLowerCase(), secret]))
  const entries = observed.secrets.flatMap(({ entry }) => (entry?.fleet === desired.fleet ? [entry] : []))
  const databases = new Map(observed.databases.map((database) => [database.name, database]))
  const marked = new Map(
    observed.databases.flatMap(({ name, marker }) =>
      marker?.fleet === desired.fleet ? [[marker.tenant, name] as const] : [],
    ),
  )
  const tenants = new Map(desired.tenants.map((tenant) => [tenant.id, tenant]))
  const ids = new Set([...tenants.keys(), ...entries.map(({ id }) => id), ...marked.keys()])

  const results = [...ids.difference(desired.held)].toSorted().map((id): Result => {
    const secret = secrets.get(secretName(id))
    const entry = secret?.entry?.fleet === desired.fleet ? secret.entry : undefined
    const located = marked.get(id) ?? (entry && expected(entry, databases))
    const tenant = tenants.get(id)
    const facts: Facts = { ...desired, id, secret, entry, located, now }
    if (secret && !entry) {
      const message = `secret ${secret.name} is not an entry of this fleet's ledger: remove it, or give the tenant another id`
      return { tenant: id, name: tenant?.name ?? id, reason: "SecretTaken", message }
    }
    return tenant ? present(facts, tenant) : absent(facts)
  })
  return {
    changes: breakCycles(results.filter((result) => result !== undefined && "actions" in result)),
    stalls: results.filter((result) => result !== undefined && "reason" in result),
  }
}

type Facts = Pick<Desired, "fleet" | "cell" | "version" | "gracePeriod"> & {
  id: TenantId
  secret: ObservedSecret | undefined
  entry: LedgerEntry | undefined
  /** The name of the tenant's database now. */
  located: string | undefined
  now: number
}
type Result = Change | Stall | undefined

/** The database that the ledger's names lead to, where its marker does not speak against it. */
function expected(entry: LedgerEntry, databases: ReadonlyMap<string, ObservedDatabase>): string | undefined {
  const names = [expectedDatabase(entry), entry.database, transitDatabaseName(entry.id)]
  const candidate = names.map((name) => databases.get(name)).find((database) => database !== undefined)
  if (!candidate || candidate.marker === undefined) return candidate?.name
  // Between its creation and its marking a database has no marker; only a reservation explains that.
  return candidate.marker === null && entry.state === "reserved" ? candidate.name : undefined
}

/** A tenant that has a file. */
function present({ id, secret, entry, located, version, fleet, cell }: Facts, tenant: Tenant): Result {
  const wanted = databaseName(tenant.name)
  const change = (kind: ChangeKind, ...actions: (Action | undefined)[]): Change => ({
    kind,
    tenant: id,
    name: tenant.name,
    actions: actions.filter((action) => action !== undefined),
  })
  const schema = entry?.schema ?? "none"
  const slot = entry?.slot ?? "a"
  const active: LedgerEntry = {
    id,
    fleet,
    name: tenant.name,
    cell,
    database: wanted,
    state: "active",
    schema,
    slot,
  }
  const migrated: LedgerEntry = { ...active, schema: version }
  const move: Action | undefined =
    located && located !== wanted ? { kind: "rename", from: located, to: wanted } : undefined
  const migrate: Action = { kind: "migrate", database: wanted }
  const credential: Action = { kind: "credential", database: wanted, slot }
  const publish = (published: LedgerEntry, how: "new" | "kept"): Action => ({
    kind: "publish",
    entry: published,
    database: wanted,
    credential: how,
  })

  if (entry?.state === "reserved" || (!entry && !located)) {
    const reserved = entry && (located !== undefined || entry.database === wanted)
    return change(
      "create",
      reserved ? undefined : { kind: "reserve", entry: { ...active, state: "reserved" } },
      located ? undefined : { kind: "create", database: wanted },
      { kind: "secure", database: located ?? wanted },
      move,
      migrate,
      tenant.seed ? { kind: "seed", database: wanted, seed: tenant.seed } : undefined,
      credential,
      publish(migrated, "new"),
    )
  }
  if (!located) return missing(id, tenant.name, expectedDatabase(entry!))
  if (!entry) return change("repair", move, credential, publish(active, "new"))
  if (entry.state === "retired") return change("restore", move, credential, publish(active, "new"))
  if (move || entry.transition || entry.database !== wanted) {
    return change(
      "rename",
      entry.transition ? undefined : { kind: "record", entry: { ...entry, transition: "renaming" } },
      move && { kind: "close", database: located },
      move,
      { kind: "open", slot },
      publish(active, "kept"),
    )
  }
  if (!secret!.enabled) return change("repair", credential, publish(active, "new"))
  if (schema !== version) return change("migrate", migrate, { kind: "record", entry: migrated })
  if (entry.name !== tenant.name || entry.cell !== cell)
    return change("repair", { kind: "record", entry: active })
  return undefined
}

const missing = (tenant: TenantId, name: string, database: string): Stall => ({
  tenant,
  name,
  reason: "DatabaseMissing",
  message: `the ledger says that ${database} holds this tenant's data, and there is no such database with its marker: restore it from a Neon branch or snapshot`,
})

/** A tenant whose file is gone: retired first, purged after the grace period. */
function absent({ id, fleet, cell, entry, located, now, gracePeriod }: Facts): Result {
  const shelf = retiredDatabaseName(id)
  const name = entry?.name ?? located?.replace(/^products-/, "") ?? id
  const change = (kind: ChangeKind, actions: Action[]): Change => ({ kind, tenant: id, name, actions })
  const shelve = (from: string): Action[] => [
    { kind: "close", database: from },
    { kind: "rename", from, to: shelf },
  ]
  const shelving = located && located !== shelf ? shelve(located) : []
  const retiredAt = new Date(now).toISOString()

  if (!entry) {
    // The marker says that it is ours; the ledger forgot. It gets a whole grace period.
    const database = located!
    const kept: LedgerEntry = {
      id,
      fleet,
      name,
      cell,
      database,
      state: "retired",
      schema: "none",
      slot: "a",
      retiredAt,
    }
    return change("retire", [{ kind: "reserve", entry: kept }, ...shelving])
  }
  if (entry.state === "reserved" && !located)
    return change("purge", [{ kind: "drop-roles" }, { kind: "forget" }])
  if (entry.state !== "retired") {
    const { transition: _, ...rest } = entry
    return change("retire", [
      { kind: "unpublish", entry: { ...rest, state: "retired", retiredAt } },
      ...shelving,
    ])
  }
  if (shelving.length > 0) return change("retire", shelving)
  const expired = now - Date.parse(entry.retiredAt ?? retiredAt) >= gracePeriod
  if (!expired) return located ? undefined : missing(id, name, shelf)
  const drop: Action[] = located ? [{ kind: "drop", database: shelf }] : []
  return change("purge", [...drop, { kind: "drop-roles" }, { kind: "forget" }])
}

type Rename = Extract<Action, { kind: "rename" }>
const renameOf = (change: Change) =>
  change.actions.find((action): action is Rename => action.kind === "rename")

/** Where renames wait for each other in a circle, one of them steps aside to a name of its own first. */
function breakCycles(changes: readonly Change[]): readonly Change[] {
  const byFrom = new Map(
    changes.flatMap((change) => (renameOf(change) ? [[renameOf(change)!.from, change] as const] : [])),
  )
  const settled = new Set<Change>()
  const aside = new Set<Change>()
  for (const start of byFrom.values()) {
    const path = new Set<Change>()
    let next: Change | undefined = start
    while (next && !settled.has(next) && !path.has(next)) {
      path.add(next)
      next = byFrom.get(renameOf(next)!.to)
    }
    if (next && path.has(next)) aside.add(next)
    for (const change of path) settled.add(change)
  }
  return changes.map((change) => {
    if (!aside.has(change)) return change
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
  })
}
