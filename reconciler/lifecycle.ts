/**
 * The life of one tenant: from what is declared and what is observed, the change that brings them together.
 *
 * A tenant's actions are in such an order that wherever they are cut short, what is left can be observed and finished:
 * the ledger announces a thing before it is made, and the write that says "done" comes last.
 */
import type { Action, Change, ChangeKind, Stall } from "./action.ts"
import type { ApprovalVerb, LedgerEntry, ObservedSecret } from "./ledger.ts"
import {
  databaseName,
  type FleetId,
  isOurName,
  otherSlot,
  retiredDatabaseName,
  type Tenant,
  type TenantId,
} from "./tenant.ts"

/** All that is known of one tenant. Times are milliseconds. */
export type Facts = {
  id: TenantId
  fleet: FleetId
  cell: string
  /** The version of the migrations, see migrations.ts. */
  version: string
  gracePeriod: number
  now: number
  secret: ObservedSecret | undefined
  entry: LedgerEntry | undefined
  /** The name of the tenant's database now. */
  located: string | undefined
  /** A database that the ledger names as the tenant's, whose marker says otherwise. */
  contradicted: string | undefined
}

type Result = Change | Stall | undefined

const DAY = 86_400_000

/** The name that the ledger lets us expect in Neon's list. */
export const expectedDatabase = (entry: LedgerEntry): string =>
  entry.state === "retired" || entry.state === "purging" ? retiredDatabaseName(entry.id) : entry.database

const isApproved = ({ entry, now }: Facts, verb: ApprovalVerb): boolean =>
  entry?.approval?.verb === verb && Date.parse(entry.approval.until) > now

const record = (entry: LedgerEntry): Action => ({ kind: "record", entry })

/** Whether a purge that the ledger tells of was begun by us: what is left is on its shelf, and a person or time allowed it. */
function mayPurge({ id, entry, located, now, gracePeriod }: Facts): boolean {
  if (located !== undefined && located !== retiredDatabaseName(id)) return false
  if (entry?.approval?.verb === "purge") return true
  return entry?.retiredAt !== undefined && now - Date.parse(entry.retiredAt) >= gracePeriod
}

/**
 * What can be believed of an entry. Tags are edited by hand: a reservation never had a schema, and a purge begins when
 * it may. Whoever says otherwise was served or retired before.
 */
function believed(facts: Facts): LedgerEntry | undefined {
  const { entry } = facts
  if (entry?.state === "reserved" && entry.schema !== "none") return { ...entry, state: "suspended" }
  if (entry?.state === "purging" && !mayPurge(facts)) {
    const { retiredAt } = entry
    const before = facts.secret?.enabled ? "active" : "suspended"
    return retiredAt ? { ...entry, state: "retired" } : { ...entry, state: before, transition: undefined }
  }
  return entry
}

/** A tenant that has a file. */
export function present(known: Facts, tenant: Tenant): Result {
  const facts = { ...known, entry: believed(known) }
  const { id, secret, entry, located, version, fleet, cell, now } = facts
  const wanted = databaseName(tenant.name)
  const change = (kind: ChangeKind, ...actions: (Action | undefined)[]): Change => ({
    kind,
    tenant: id,
    name: tenant.name,
    actions: actions.filter((action) => action !== undefined),
  })
  const slot = entry?.slot ?? "a"
  const schema = entry?.schema ?? "unknown"
  const next: LedgerEntry = {
    id,
    fleet,
    name: tenant.name,
    cell,
    database: wanted,
    state: tenant.suspended ? "suspended" : "active",
    schema,
    slot,
    ...(tenant.protected ? { protected: true } : {}),
  }
  const migrated: LedgerEntry = { ...next, schema: version }
  const move: Action[] =
    located && located !== wanted
      ? [
          { kind: "close", database: located },
          { kind: "rename", from: located, to: wanted },
        ]
      : []
  const migrate: Action = { kind: "migrate", database: wanted }
  const seed: Action | undefined = tenant.seed
    ? { kind: "seed", database: wanted, seed: tenant.seed }
    : undefined
  /** A database that was never served may lack its schema and its seed; of one that the ledger forgot, nobody knows. */
  const rows = schema === "none" ? [migrate, seed] : schema === "unknown" ? [migrate] : []
  const whole = rows.length > 0 ? migrated : next
  /** Ends a change: whoever shall be served gets a credential, whoever is suspended gets none. */
  const settle = (settled: LedgerEntry): Action[] =>
    tenant.suspended
      ? [{ kind: "close", database: wanted }, secret ? record(settled) : { kind: "reserve", entry: settled }]
      : [
          { kind: "credential", database: wanted, slot, exclusive: true },
          { kind: "publish", entry: settled, database: wanted },
        ]

  if (secret && !entry && !located) return broken(facts, tenant.name)
  if (entry?.state === "purging" && !located) return { ...change("purge", ...forgotten), isApproved: true }
  const isRecreated = entry && !located && entry.state !== "reserved" && isApproved(facts, "recreate")
  if ((!entry && !located) || entry?.state === "reserved" || isRecreated) {
    const isAnnounced = entry?.state === "reserved" && (located !== undefined || entry.database === wanted)
    return change(
      "create",
      isAnnounced ? undefined : { kind: "reserve", entry: { ...next, schema: "none", state: "reserved" } },
      located ? undefined : { kind: "create", database: wanted },
      { kind: "secure", database: located ?? wanted },
      ...move,
      migrate,
      seed,
      ...settle(migrated),
    )
  }
  // Before anything that may wait: a file that is gone tomorrow protects nobody.
  if (entry && tenant.protected && !entry.protected)
    return change("update", record({ ...entry, protected: true }))
  if (!located) return missing(facts, tenant.name, "recreate")
  const secure: Action = { kind: "secure", database: located }
  if (!entry) {
    // A soft-deleted secret comes back as it was, so it is closed before its credential is changed.
    const announce: Action | undefined =
      secret || tenant.suspended ? undefined : { kind: "reserve", entry: { ...next, state: "suspended" } }
    return change("repair", secure, announce, ...move, ...rows, ...settle(whole))
  }
  if (entry.state === "retired" || entry.state === "purging") {
    // Whoever is retired again gets a whole grace period, however far this has come.
    const renewed = record({ ...entry, state: "retired", retiredAt: new Date(now).toISOString() })
    const restore = change("restore", renewed, secure, ...move, ...rows, ...settle(whole))
    const isOld = now - Date.parse(entry.retiredAt ?? "") > DAY
    return isOld ? { ...restore, otherwise: change("update", renewed) } : restore
  }
  const isHalfWay = entry.transition !== undefined && entry.transition !== "renaming"
  if (tenant.suspended && (entry.state === "active" || isHalfWay)) {
    const here: LedgerEntry = { ...next, name: entry.name, database: located }
    return change(
      "suspend",
      record({ ...here, transition: "suspending" }),
      { kind: "close", database: located },
      record(here),
    )
  }
  if (move.length > 0 || entry.transition === "renaming" || entry.database !== wanted) {
    const isClosed = entry.transition === "renaming" || entry.state === "suspended"
    const announce = isClosed ? undefined : record({ ...entry, transition: "renaming" })
    const rename = change("rename", announce, ...move, ...settle(next))
    if (entry.transition !== "renaming" || tenant.suspended) return rename
    // Closed for a rename that cannot be finished now: then it is served from where it is.
    const { transition: _, ...kept } = entry
    const credential: Action = { kind: "credential", database: located, slot, exclusive: true }
    const publish: Action = { kind: "publish", entry: { ...kept, database: located }, database: located }
    return { ...rename, otherwise: change("repair", credential, publish) }
  }
  if (!tenant.suspended && entry.state === "suspended") return change("resume", ...rows, ...settle(whole))
  if (secret!.enabled !== (entry.state === "active") || entry !== known.entry)
    return change("repair", secure, ...rows, ...settle(whole))
  if (entry.transition === "rotating" || entry.transition === "draining") {
    const isPublished = entry.transition === "draining"
    const fresh = isPublished ? slot : otherSlot(slot)
    return change(
      "rotate",
      isPublished ? undefined : { kind: "credential", database: wanted, slot: fresh, exclusive: false },
      isPublished
        ? undefined
        : { kind: "publish", entry: { ...next, slot: fresh, transition: "draining" }, database: wanted },
      { kind: "close-login", database: wanted, slot: otherSlot(fresh) },
      record({ ...next, slot: fresh }),
    )
  }
  if (entry.schema !== version) return change("migrate", migrate, record(migrated))
  const isSame =
    entry.name === tenant.name &&
    entry.cell === cell &&
    Boolean(entry.protected) === Boolean(tenant.protected)
  return isSame ? undefined : change("update", record(next))
}

const forgotten: Action[] = [{ kind: "drop-roles", database: undefined }, { kind: "forget" }]

/** A tenant whose file is gone: retired first, purged after the grace period. */
export function absent(known: Facts): Result {
  const facts = { ...known, entry: believed(known) }
  const { id, fleet, cell, secret, entry, located, now, gracePeriod } = facts
  const shelf = retiredDatabaseName(id)
  const name = entry?.name ?? located?.replace(/^products-/, "") ?? id
  const change = (kind: "retire" | "purge", verb: ApprovalVerb, actions: Action[]): Change => ({
    kind,
    tenant: id,
    name,
    actions,
    ...(isApproved(facts, verb) ? { isApproved: true } : {}),
    ...(entry?.protected ? { isProtected: true } : {}),
  })
  const shelving: Action[] =
    located && located !== shelf
      ? [
          { kind: "close", database: located },
          { kind: "rename", from: located, to: shelf },
        ]
      : []
  const retiredAt = new Date(now).toISOString()

  if (!entry) {
    if (!located) return broken(facts, name)
    if (!isOurName(located)) return halfImported(facts, located)
    // The marker says that it is ours; the ledger forgot. What is shelved gets a whole grace period.
    const rebuilt: LedgerEntry = {
      id,
      fleet,
      name,
      cell,
      database: located,
      schema: "unknown",
      slot: "a",
      ...(located === shelf ? { state: "retired", retiredAt } : { state: "active" }),
      ...(secret?.isProtected ? { protected: true } : {}),
    }
    // Where only the tags are broken, whoever was served is served on until it may be removed.
    const isServed = secret !== undefined && located !== shelf
    const state = secret?.enabled ? "active" : "suspended"
    const action: Action = isServed ? record({ ...rebuilt, state }) : { kind: "reserve", entry: rebuilt }
    return { kind: "repair", tenant: id, name, actions: [action] }
  }
  if (entry.state === "reserved" && !located) return change("purge", "purge", forgotten)
  if (entry.state === "purging") {
    const drop: Action[] = located ? [{ kind: "drop", database: located }] : []
    const actions: Action[] = [{ kind: "drop-roles", database: located }, ...drop, { kind: "forget" }]
    return { ...change("purge", "purge", actions), isApproved: true }
  }
  const { transition: _, approval, ...rest } = entry
  // An approval that is used stays with the purge, which it must outlive.
  const purging = record({ ...rest, state: "purging", ...(isApproved(facts, "purge") ? { approval } : {}) })
  if (!located) {
    if (!isApproved(facts, "purge")) return missing(facts, name, "purge")
    return change("purge", "purge", [purging, ...forgotten])
  }
  if (entry.state !== "retired") {
    // What was only reserved may not be marked yet.
    const secure: Action[] = entry.state === "reserved" ? [{ kind: "secure", database: located }] : []
    const retire = change("retire", "retire", [
      ...secure,
      record({ ...rest, state: "retired", retiredAt }),
      ...shelving,
    ])
    const otherwise = entry.state === "reserved" ? undefined : staying(facts, entry, known.entry)
    return otherwise ? { ...retire, otherwise } : retire
  }
  if (shelving.length > 0) return change("retire", "retire", shelving)
  if (secret!.enabled || !entry.retiredAt || entry !== known.entry) {
    const whole = { ...rest, retiredAt: entry.retiredAt ?? retiredAt }
    const secure: Action = { kind: "secure", database: shelf }
    const actions: Action[] = [record(whole), secure, { kind: "close", database: shelf }]
    return { kind: "repair", tenant: id, name, actions }
  }
  // Whoever edits the tag by hand starts the grace period anew.
  const since = Math.max(Date.parse(entry.retiredAt), secret!.changedAt)
  if (now - since < gracePeriod && !isApproved(facts, "purge")) return undefined
  return change("purge", "purge", [
    purging,
    { kind: "drop-roles", database: shelf },
    { kind: "drop", database: shelf },
    { kind: "forget" },
  ])
}

/**
 * What a tenant needs that has no file and may not be removed: to be served as before, and, since programs know the
 * newest schema, new migrations. `told`: the entry as the tags have it.
 */
function staying(
  { id, located, secret, version }: Facts,
  entry: LedgerEntry,
  told: LedgerEntry | undefined,
): Change | undefined {
  const { transition, ...rest } = entry
  const isActive = entry.state === "active"
  const isUnknown = entry.schema === "none" || entry.schema === "unknown"
  const whole: LedgerEntry = { ...rest, database: located!, ...(isUnknown ? { schema: version } : {}) }
  const migrate: Action = { kind: "migrate", database: located! }
  const change = (kind: ChangeKind, ...actions: Action[]): Change => ({
    kind,
    tenant: id,
    name: entry.name,
    actions,
  })
  if (transition !== undefined || secret!.enabled !== isActive || entry !== told) {
    const settle: Action[] = isActive
      ? [
          { kind: "credential", database: located!, slot: entry.slot, exclusive: true },
          { kind: "publish", entry: whole, database: located! },
        ]
      : [{ kind: "close", database: located! }, record(whole)]
    return change(
      "repair",
      { kind: "secure", database: located! },
      ...(isUnknown ? [migrate] : []),
      ...settle,
    )
  }
  if (entry.schema === version) return undefined
  return change("migrate", migrate, record({ ...entry, schema: version }))
}

function missing({ id, entry, contradicted }: Facts, name: string, approve: ApprovalVerb): Stall {
  const said = `the ledger says that ${expectedDatabase(entry!)} holds this tenant's data, and `
  const remedy = approve === "recreate" ? "give the data up and start with an empty one" : "give the data up"
  if (contradicted) {
    const message = `${said}${contradicted} does not carry this tenant's marker: undo what was done to the secret's tags or to the database, or ${remedy}`
    return { tenant: id, name, reason: "MarkerMismatch", message, approve }
  }
  const message = `${said}Neon has no such database: restore it from a branch or a snapshot, or ${remedy}`
  return { tenant: id, name, reason: "DatabaseMissing", message, approve }
}

/** A marker on a database that is not named as a tenant's: an import that was cut short, or a comment by hand. */
const halfImported = ({ id }: Facts, database: string): Stall => ({
  tenant: id,
  name: database,
  reason: "ImportUnfinished",
  message: `${database} carries the marker of tenant ${id}, which no file declares: finish with "tenantry import ${database} --id ${id} --name <name>", or remove the database's comment`,
})

const broken = ({ id, secret }: Facts, name: string): Stall => ({
  tenant: id,
  name,
  reason: "LedgerBroken",
  message: `the tags of secret ${secret?.name ?? id} were edited and no database carries this tenant's marker: undo the edit, or delete the secret`,
})
