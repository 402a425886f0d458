/**
 * The life of a tenant that has a file: from what is declared and what is observed, the change that brings them
 * together. What becomes of it without a file is in absence.ts.
 *
 * A tenant's actions are in such an order that wherever they are cut short, what is left can be observed and finished:
 * the ledger announces a thing before it is made, and the write that says "done" comes last.
 */
import type { Action, Change, ChangeKind, Stall } from "./action.ts"
import { type ApprovalVerb, isRetired, type LedgerEntry, type ObservedSecret } from "./ledger.ts"
import {
  databaseName,
  type FleetId,
  otherSlot,
  retiredDatabaseName,
  type Tenant,
  type TenantId,
} from "./tenant.ts"

/** All that is known of one tenant. Times are milliseconds. */
export type Facts = {
  id: TenantId
  fleet: FleetId
  /** Where the tenant lives or is to live. */
  cell: string
  /** The version of the migrations, see migrations.ts. */
  version: string
  gracePeriod: number
  now: number
  secret: ObservedSecret | undefined
  /** What can be believed of the tags, see `believed`. */
  entry: LedgerEntry | undefined
  /** Whether the tags say something else, and are to be put right. */
  isTampered: boolean
  /** The name of the tenant's database now. */
  located: string | undefined
  /** A database that the ledger names as the tenant's, whose marker says otherwise. */
  contradicted: string | undefined
}

export type Result = Change | Stall | undefined

/** Milliseconds. */
export const DAY = 86_400_000

/** The name that the ledger lets us expect in Neon's list. */
export const expectedDatabase = (entry: LedgerEntry): string =>
  isRetired(entry) ? retiredDatabaseName(entry.id) : entry.database

export const isApproved = ({ entry, now }: Facts, verb: ApprovalVerb): boolean =>
  entry?.approval?.verb === verb && Date.parse(entry.approval.until) > now

export const record = (entry: LedgerEntry): Action => ({ kind: "record", entry })

/** What the tags say, and where the tenant's database is. */
type Told = Pick<Facts, "id" | "secret" | "entry" | "located">

/** Whether a purge that the ledger tells of was begun by us: each is recorded with its approval, and takes what is shelved. */
const isOurPurge = ({ id, entry, located }: Told): boolean =>
  entry?.approval?.verb === "purge" && (located === undefined || located === retiredDatabaseName(id))

/**
 * What can be believed of an entry. Tags are edited by hand: a reservation never had a schema, and a purge
 * carries its approval. Whoever says otherwise was served or retired before.
 */
export function believed(told: Told): LedgerEntry | undefined {
  const { entry, secret } = told
  if (entry?.state === "reserved" && entry.schema !== "none") return { ...entry, state: "suspended" }
  if (entry?.state === "purging" && !isOurPurge(told)) {
    const { retiredAt } = entry
    const before = secret?.enabled ? "active" : "suspended"
    return retiredAt ? { ...entry, state: "retired" } : { ...entry, state: before, transition: undefined }
  }
  return entry
}

/** The entry of a tenant that is as its file declares it, but for its schema. */
export function declaredEntry({ id, fleet, cell, entry }: Facts, tenant: Tenant): LedgerEntry {
  return {
    id,
    fleet,
    name: tenant.name,
    cell,
    database: databaseName(tenant.name),
    state: tenant.suspended ? "suspended" : "active",
    schema: entry?.schema ?? "unknown",
    slot: entry?.slot ?? "a",
    ...(tenant.protected ? { protected: true } : {}),
    ...(tenant.hosts?.length ? { hosts: tenant.hosts } : {}),
  }
}

/** A tenant that has a file. Of its hosts the file names only those that it may have now, see hosts.ts. */
export function present(facts: Facts, tenant: Tenant): Result {
  if (isAsDeclared(facts, tenant)) return undefined
  const { id, secret, entry } = facts
  const isServed = entry?.state === "active"
  const hosts = tenant.hosts ?? []
  // An entry that is not whole is put right as a whole.
  if (!entry || isRetired(entry) || secret?.enabled !== isServed || facts.isTampered)
    return live(facts, tenant)
  if (isSameList(entry.hosts ?? [], hosts)) return live(facts, tenant)
  // The ledger's first write, and never held up: another tenant may wait for a host that is given up.
  const told: LedgerEntry = { ...entry, hosts }
  const telling = (change: Change): Change => ({
    ...change,
    actions: "entry" in change.actions[0]! ? change.actions : [record(told), ...change.actions],
  })
  const update: Change = {
    kind: "update",
    tenant: id,
    name: tenant.name,
    cell: facts.cell,
    actions: [record(told)],
  }
  const others: Facts = { ...facts, entry: told }
  if (isAsDeclared(others, tenant)) return update
  const rest = live(others, tenant)
  if ("reason" in rest) return update
  return { ...telling(rest), otherwise: rest.otherwise ? telling(rest.otherwise) : update }
}

/** Whether nothing is to be done, as in most passes for nearly every tenant. */
const isAsDeclared = (
  { secret, entry, isTampered, located, version }: Facts,
  { name, suspended = false, protected: isProtected = false, hosts = [] }: Tenant,
): boolean =>
  entry !== undefined &&
  !isTampered &&
  entry.transition === undefined &&
  entry.state === (suspended ? "suspended" : "active") &&
  secret?.enabled === !suspended &&
  entry.name === name &&
  entry.schema === version &&
  (entry.protected ?? false) === isProtected &&
  entry.database === located &&
  located === databaseName(name) &&
  isSameList(entry.hosts ?? [], hosts)

const isSameList = (one: readonly string[], other: readonly string[]) => one.join(" ") === other.join(" ")

/** The change that brings a tenant to what is declared, other than by its hosts, or why a person must look at it. */
function live(facts: Facts, tenant: Tenant): Change | Stall {
  const { id, cell, secret, entry, located, version, now } = facts
  const wanted = databaseName(tenant.name)
  const change = (kind: ChangeKind, ...actions: (Action | undefined)[]): Change => ({
    kind,
    tenant: id,
    name: tenant.name,
    cell,
    actions: actions.filter((action) => action !== undefined),
  })
  const next = declaredEntry(facts, tenant)
  const { slot, schema } = next
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
  if (entry?.state === "purging" && !located)
    return { ...change("purge", ...destroy(undefined)), isApproved: true }
  const isRecreated = entry && !located && entry.state !== "reserved" && isApproved(facts, "recreate")
  if ((!entry && !located) || entry?.state === "reserved" || isRecreated) {
    const isAnnounced = entry?.state === "reserved" && (located !== undefined || entry.database === wanted)
    const reserve: Action = { kind: "reserve", entry: { ...next, schema: "none", state: "reserved" } }
    // Its old name is given up before another may take it.
    if (isRecreated && entry.database !== wanted) return change("create", reserve)
    return change(
      "create",
      isAnnounced ? undefined : reserve,
      located ? undefined : { kind: "create", database: wanted },
      { kind: "secure", database: located ?? wanted },
      ...move,
      migrate,
      seed,
      ...settle(migrated),
    )
  }
  // Before anything that may wait: a file that is gone tomorrow protects nobody. What else the tags say, and whether the
  // secret can be read, may tell of a repair that was cut short.
  if (entry && tenant.protected && !entry.protected)
    return change("update", { kind: "annotate", entry: { ...secret!.entry!, protected: true } })
  if (!located) return missing(facts, tenant.name, "recreate")
  const secure: Action = { kind: "secure", database: located }
  if (!entry) {
    // A soft-deleted secret comes back as it was, so it is closed before its credential is changed. Its logins are open.
    const closed: LedgerEntry = { ...next, database: located, state: "suspended", transition: "suspending" }
    const announce: Action | undefined =
      secret || tenant.suspended ? undefined : { kind: "reserve", entry: closed }
    return change("repair", secure, announce, ...move, ...rows, ...settle(whole))
  }
  if (isRetired(entry)) {
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
    const isAnnounced = entry.transition === "renaming"
    const announce = isAnnounced ? undefined : record({ ...entry, transition: "renaming" })
    const rename = change("rename", announce, ...move, ...settle(next))
    const isOut = isAnnounced || !secret!.enabled || facts.isTampered
    if (!isOut || entry.state === "suspended" || tenant.suspended) return rename
    // Out of service, and the rename cannot be made now: then it is served from where it is.
    const { transition: _, ...kept } = entry
    const credential: Action = { kind: "credential", database: located, slot, exclusive: true }
    const publish: Action = { kind: "publish", entry: { ...kept, database: located }, database: located }
    return { ...rename, otherwise: change("repair", secure, credential, publish) }
  }
  if (!tenant.suspended && entry.state === "suspended") return change("resume", ...rows, ...settle(whole))
  if (secret!.enabled !== (entry.state === "active") || facts.isTampered)
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
  return change("update", record(next))
}

/** Takes away all that a tenant has; `database`: where its data is, undefined where there is none. */
export const destroy = (database: string | undefined): Action[] => [
  { kind: "drop-roles", database },
  ...(database ? [{ kind: "drop" as const, database }] : []),
  { kind: "forget" },
]

export function missing({ id, entry, contradicted }: Facts, name: string, approve: ApprovalVerb): Stall {
  const said = `the ledger says that ${expectedDatabase(entry!)} holds this tenant's data, and `
  const remedy = approve === "recreate" ? "give the data up and start with an empty one" : "give the data up"
  if (contradicted) {
    const message = `${said}${contradicted} does not carry this tenant's marker: undo what was done to the secret's tags or to the database, or ${remedy}`
    return { tenant: id, name, reason: "MarkerMismatch", message, approve }
  }
  const message = `${said}Neon has no such database: restore it from a branch or a snapshot, or ${remedy}`
  return { tenant: id, name, reason: "DatabaseMissing", message, approve }
}

export const broken = ({ id, secret }: Facts, name: string): Stall => ({
  tenant: id,
  name,
  reason: "LedgerBroken",
  message: `the tags of secret ${secret?.name ?? id} were edited and no database carries this tenant's marker: undo the edit, or delete the secret`,
})
