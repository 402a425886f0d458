/** One value of a secret and what is said about it; times are unix seconds. */
export type Version = {
  readonly id: string
  readonly value: string
  readonly contentType?: string | undefined
  readonly tags?: Readonly<Record<string, string>> | undefined
  readonly enabled: boolean
  readonly nbf?: number | undefined
  readonly exp?: number | undefined
  readonly created: number
  readonly updated: number
}

/** A soft delete: `on` and `purgeOn` in unix seconds; until `settledAt` (milliseconds) it is still going on. */
export type Deletion = { readonly on: number; readonly purgeOn: number; readonly settledAt: number }

/**
 * A secret with its versions, oldest first; never changed in place, so a list of secrets is a snapshot. Until
 * `recoveredAt` (milliseconds) its recovery is still going on.
 */
export type Secret = {
  readonly name: string
  readonly versions: readonly Version[]
  readonly deletion?: Deletion | undefined
  readonly recoveredAt?: number | undefined
}

/** Where a secret stands at a moment: the two states that end by themselves come from the service's own delays. */
export type State = "active" | "being deleted" | "deleted" | "being recovered" | "gone"

/** The state at `now` in milliseconds; a deleted secret past its retention is gone. */
export function stateOf(secret: Secret | undefined, now: number): State {
  if (secret === undefined) return "gone"
  const { deletion, recoveredAt } = secret
  if (deletion === undefined) return (recoveredAt ?? 0) > now ? "being recovered" : "active"
  if (deletion.settledAt > now) return "being deleted"
  return deletion.purgeOn * 1000 > now ? "deleted" : "gone"
}

/** What the vault was made with; it decides the recovery level that each secret shows. */
export type Retention = { readonly days: number; readonly purgeProtection: boolean }

/** The newest version; every secret has one. */
export function latest(secret: Secret): Version {
  const version = secret.versions.at(-1)
  if (version === undefined) throw new Error(`secret ${secret.name} has no version: its journal is damaged`)
  return version
}

/** The key under which a name is kept: names differ by more than case. */
export function keyOf(name: string): string {
  return name.toLowerCase()
}

/** Finds a version by its id. */
export function versionOf(secret: Secret, id: string): Version | undefined {
  return secret.versions.find((version) => version.id === id.toLowerCase())
}

function recoveryLevel({ days, purgeProtection }: Retention): string {
  const level = days === 90 ? "Recoverable" : "CustomizedRecoverable"
  return purgeProtection ? level : `${level}+Purgeable`
}

/** What every answer says about a version, without the value: `id` is the given one. */
export function properties(id: string, version: Version, retention: Retention): Record<string, unknown> {
  const { contentType, tags, enabled, nbf, exp, created, updated } = version
  return {
    id,
    ...(contentType === undefined ? {} : { contentType }),
    attributes: {
      enabled,
      ...(nbf === undefined ? {} : { nbf }),
      ...(exp === undefined ? {} : { exp }),
      created,
      updated,
      recoveryLevel: recoveryLevel(retention),
      recoverableDays: retention.days,
    },
    ...(tags === undefined ? {} : { tags }),
  }
}
