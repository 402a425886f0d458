/** The life of a tenant that has no file: retired, kept for its grace period, purged; or served on, where it may not go. */
import type { Action, Change, ChangeKind, Stall } from "./action.ts"
import type { ApprovalVerb, LedgerEntry, ObservedSecret } from "./ledger.ts"
import { broken, destroy, type Facts, isApproved, missing, record, type Result } from "./lifecycle.ts"
import { isOurName, nameOfDatabase, retiredDatabaseName } from "./tenant.ts"

/** A tenant whose file is gone: retired first, purged after the grace period. */
export function absent(facts: Facts): Result {
  const { id, fleet, cell, secret, entry, located, now, gracePeriod } = facts
  const shelf = retiredDatabaseName(id)
  const name = entry?.name ?? (located && nameOfDatabase(located)) ?? located ?? id
  const change = (kind: "retire" | "purge", verb: ApprovalVerb, actions: Action[]): Change => ({
    kind,
    tenant: id,
    name,
    cell,
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
    return { kind: "repair", tenant: id, name, cell, actions: [action] }
  }
  if (entry.state === "reserved" && !located) return change("purge", "purge", destroy(undefined))
  if (entry.state === "purging") {
    return { ...change("purge", "purge", destroy(located)), isApproved: true }
  }
  const { transition: _, approval, ...rest } = entry
  // A purge carries a person's approval or its own, so that nobody's slip of the hand looks like one.
  const begun = { verb: "purge" as const, until: new Date(now).toISOString() }
  const purging = record({
    ...rest,
    state: "purging",
    approval: isApproved(facts, "purge") ? approval : begun,
  })
  if (!located) {
    if (!isApproved(facts, "purge")) return missing(facts, name, "purge")
    return change("purge", "purge", [purging, ...destroy(undefined)])
  }
  if (entry.state !== "retired") {
    // What was only reserved may not be marked yet.
    const secure: Action[] = entry.state === "reserved" ? [{ kind: "secure", database: located }] : []
    const retire = change("retire", "retire", [
      ...secure,
      record({ ...rest, state: "retired", retiredAt }),
      ...shelving,
    ])
    const otherwise = entry.state === "reserved" ? undefined : staying(facts, entry)
    return otherwise ? { ...retire, otherwise } : retire
  }
  if (shelving.length > 0) {
    // What was begun is not asked for again. A hand that edits the tags leaves the secret enabled.
    const begunAlready = secret!.enabled ? {} : { isApproved: true }
    return { ...change("retire", "retire", shelving), ...begunAlready }
  }
  if (secret!.enabled || !entry.retiredAt || facts.isTampered) {
    const whole = { ...rest, retiredAt: entry.retiredAt ?? retiredAt }
    const secure: Action = { kind: "secure", database: shelf }
    const actions: Action[] = [record(whole), secure, { kind: "close", database: shelf }]
    return { kind: "repair", tenant: id, name, cell, actions }
  }
  if (now < endOfGrace(entry.retiredAt, secret!, gracePeriod) && !isApproved(facts, "purge")) return undefined
  return change("purge", "purge", [purging, ...destroy(shelf)])
}

/**
 * When a tenant that was retired at `retiredAt` (ISO 8601) may be purged, in milliseconds since 1970. Whoever edits the tag
 * by hand starts the grace period anew.
 */
export const endOfGrace = (
  retiredAt: string,
  { changedAt }: Pick<ObservedSecret, "changedAt">,
  gracePeriod: number,
): number => Math.max(Date.parse(retiredAt), changedAt) + gracePeriod

/**
 * What a tenant needs that has no file and may not be removed: to be served as before, and, since programs know the
 * newest schema, new migrations.
 */
function staying(
  { id, cell, located, secret, version, isTampered }: Facts,
  entry: LedgerEntry,
): Change | undefined {
  const { transition, ...rest } = entry
  const isActive = entry.state === "active"
  const isUnknown = entry.schema === "none" || entry.schema === "unknown"
  // A rename whose file went midway: the database has the new name already, and nobody else can have it.
  const name = nameOfDatabase(located!) ?? entry.name
  const whole: LedgerEntry = { ...rest, name, database: located!, ...(isUnknown ? { schema: version } : {}) }
  const migrate: Action = { kind: "migrate", database: located! }
  const change = (kind: ChangeKind, ...actions: Action[]): Change => ({
    kind,
    tenant: id,
    name: entry.name,
    cell,
    actions,
  })
  const isMoved = entry.database !== located
  if (transition !== undefined || secret!.enabled !== isActive || isTampered || isMoved) {
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

/** A marker on a database that is not named as a tenant's: an import that was cut short, or a comment by hand. */
const halfImported = ({ id }: Facts, database: string): Stall => ({
  tenant: id,
  name: database,
  reason: "ImportUnfinished",
  message: `${database} carries the marker of tenant ${id}, which no file declares: finish with "tenantry import ${database} --id ${id} --name <name>", or remove the database's comment`,
})
