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

/** The name that the ledger lets us expect in Neon's list. */
export const expectedDatabase = (entry: LedgerEntry): string =>
  entry.state === "retired" || entry.state === "purging" ? retiredDatabaseName(entry.id) : entry.database

const isApproved = ({ entry, now }: Facts, verb: ApprovalVerb): boolean =>
  entry?.approval?.verb === verb && Date.parse(entry.approval.until) > now

const record = (entry: LedgerEntry): Action => ({ kind: "record", entry })

/** A tenant that has a file. */
export function present(facts: Facts, tenant: Tenant): Result {
  const { id, secret, entry, located, version, fleet, cell } = facts
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
  if (!located) return missing(facts, tenant.name, "recreate")
  const secure: Action = { kind: "secure", database: located }
  if (!entry) {
    // A soft-deleted secret comes back as it was, so it is closed before its credential is changed.
    const announce: Action | undefined =
      secret || tenant.suspended ? undefined : { kind: "reserve", entry: { ...next, state: "suspended" } }
    return change("repair", secure, announce, ...move, ...rows, ...settle(whole))
  }
  if (entry.state === "retired" || entry.state === "purging") {
    return change("restore", secure, ...move, ...rows, ...settle(whole))
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
  if (tenant.suspended && (entry.state === "active" || entry.transition)) {
    return change(
      "suspend",
      record({ ...next, transition: "suspending" }),
      { kind: "close", database: wanted },
      record(next),
    )
  }
  if (!tenant.suspended && entry.state === "suspended") return change("resume", ...rows, ...settle(whole))
  if (secret!.enabled !== (entry.state === "active"))
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
export function absent(facts: Facts): Result {
  const { id, fleet, cell, secret, entry, located, now, gracePeriod, version } = facts
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
    const state = located === shelf ? { state: "retired" as const, retiredAt } : { state: "active" as const }
    const known: LedgerEntry = {
      id,
      fleet,
      name,
      cell,
      database: located,
      schema: "unknown",
      slot: "a",
      ...state,
    }
    return { kind: "repair", tenant: id, name, actions: [{ kind: "reserve", entry: known }] }
  }
  if (entry.state === "reserved" && !located) return change("purge", "purge", forgotten)
  if (entry.state === "purging") {
    const drop: Action[] = located ? [{ kind: "drop", database: located }] : []
    const actions: Action[] = [{ kind: "drop-roles", database: located }, ...drop, { kind: "forget" }]
    return { ...change("purge", "purge", actions), isApproved: true }
  }
  const { transition: _, approval: __, ...kept } = entry
  if (!located) {
    if (!isApproved(facts, "purge")) return missing(facts, name, "purge")
    return change("purge", "purge", [record({ ...kept, state: "purging" }), ...forgotten])
  }
  if (entry.state !== "retired") {
    // What was only reserved may not be marked yet.
    const secure: Action[] = entry.state === "reserved" ? [{ kind: "secure", database: located }] : []
    const retire = change("retire", "retire", [
      ...secure,
      record({ ...kept, state: "retired", retiredAt }),
      ...shelving,
    ])
    const isBehind = entry.state !== "reserved" && !entry.transition && entry.schema !== version
    if (!isBehind) return retire
    // Whoever may not be retired is served, and by programs that know the newest schema.
    const migrated = record({ ...entry, schema: version })
    const actions: Action[] = [{ kind: "migrate", database: located }, migrated]
    return { ...retire, otherwise: { kind: "migrate", tenant: id, name, actions } }
  }
  if (shelving.length > 0) return change("retire", "retire", shelving)
  if (secret!.enabled || !entry.retiredAt) {
    const whole = { ...kept, retiredAt: entry.retiredAt ?? retiredAt }
    const actions: Action[] = [record(whole), { kind: "close", database: shelf }]
    return { kind: "repair", tenant: id, name, actions }
  }
  // Whoever edits the tag by hand starts the grace period anew.
  const since = Math.max(Date.parse(entry.retiredAt), secret!.changedAt)
  if (now - since < gracePeriod && !isApproved(facts, "purge")) return undefined
  return change("purge", "purge", [
    record({ ...kept, state: "purging" }),
    { kind: "drop-roles", database: shelf },
    { kind: "drop", database: shelf },
    { kind: "forget" },
  ])
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
