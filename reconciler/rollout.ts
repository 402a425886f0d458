/**
 * In which order the tenants get new migrations: a few first, then the others in waves, and no further once too many
 * have failed. A function of what the ledger says and of what failed lately: a rollout that is cut short goes on where
 * it was, and one that was stopped goes on when the files, and so the version, have changed. PURE
 */
import type { Change } from "./action.ts"
import type { RolloutPolicy } from "./fleet.ts"
import type { LedgerEntry } from "./ledger.ts"
import type { TenantId } from "./tenant.ts"

/** The last failure of a tenant's migration to `version`. `at`: milliseconds since 1970. */
export type Failure = {
  version: string
  reason: string
  message: string
  /** Trying again cannot mend it: it says something of the migration. */
  isTerminal: boolean
  at: number
  attempts: number
}
export type Failures = ReadonlyMap<TenantId, Failure>

/** A migration that waits. The tenant is served as before; `isStalled`: a person has to look at it. */
export type Waiting = { change: Change; reason: string; message: string; isStalled: boolean }

export type Rollout = {
  /** What may be migrated now. */
  go: Change[]
  waiting: Waiting[]
  /** When the first tenant that failed is to be tried again; milliseconds since 1970, undefined where none waits. */
  retryAt: number | undefined
}

const FIRST_BACKOFF = 30_000
const LAST_BACKOFF = 3_600_000

/** When a tenant that failed is tried again: after 30 s, then twice as long each time, an hour at most. */
export const retryAt = ({ at, attempts }: Failure): number =>
  at + Math.min(FIRST_BACKOFF * 2 ** (attempts - 1), LAST_BACKOFF)

/** A ledger's schema that says: a person took the tenant to `version`, away from the version `from`. */
export const heldSchema = (version: string, from: string): string => `${version} not ${from}`
/** The version that the tenant was taken away from; undefined where it was not. */
const heldFrom = (schema: string): string | undefined => / not (\S+)$/.exec(schema)?.[1]

/** `changes`: all that bring a tenant to `version`; `entries`: the ledger. `now`: milliseconds since 1970. */
export function rollOut(
  changes: readonly Change[],
  world: { version: string; entries: readonly LedgerEntry[]; failures: Failures; now: number },
  policy: RolloutPolicy,
): Rollout {
  const { version, entries, now } = world
  if (changes.length === 0) return { go: [], waiting: [], retryAt: undefined }
  const schemas = new Map(entries.map(({ id, schema }) => [id, schema]))
  const failureOf = ({ tenant }: Change) => {
    const failure = world.failures.get(tenant)
    return failure?.version === version ? failure : undefined
  }
  const isHeld = ({ tenant }: Change) => heldFrom(schemas.get(tenant) ?? "") === version

  const held = changes.filter(isHeld)
  const pending = changes.filter((change) => !isHeld(change))
  const failed = pending.filter((change) => failureOf(change))
  const fresh = pending.filter((change) => !failureOf(change))
  const due = failed.filter((change) => retryAt(failureOf(change)!) <= now)
  const resting = failed.filter((change) => !due.includes(change))

  const canaries = canariesOf(pending, { version, entries }, policy.canary)
  const culprits = failed.filter((change) => failureOf(change)!.isTerminal)
  const isStopped = culprits.length >= policy.stopAfterFailures
  const eligible = canaries.length > 0 ? fresh.filter((change) => canaries.includes(change)) : fresh
  const go = [...due, ...(isStopped ? [] : eligible)].slice(0, policy.waveSize)
  const going = new Set(go)

  const others = [...fresh, ...due].filter((change) => !going.has(change))
  const why = isStopped
    ? stopped(culprits, version)
    : { reason: "RolloutWaits", message: waits(canaries, go, version) }
  const waiting: Waiting[] = [
    ...held.map((change) => ({ change, ...HELD, isStalled: false })),
    ...resting.map((change) => rest(change, failureOf(change)!)),
    ...others.map((change) => ({ change, ...why, isStalled: false })),
  ]
  const retries = resting.map((change) => retryAt(failureOf(change)!))
  return { go, waiting, retryAt: retries.length > 0 ? Math.min(...retries) : undefined }
}

const HELD = {
  reason: "RolloutHeld",
  message:
    'a person took this tenant to an older version: it goes on when the migrations change, or by "tenantry migrate"',
}

function rest(change: Change, failure: Failure): Waiting {
  const message = `${failure.message}; it is tried again after ${new Date(retryAt(failure)).toISOString()}`
  return { change, reason: failure.reason, message, isStalled: failure.isTerminal }
}

const stopped = (culprits: readonly Change[], version: string) => ({
  reason: "RolloutStopped",
  message: `${culprits.length} tenants could not be migrated to ${version} (${few(culprits)}): mend the migration, or what it met there`,
})

const waits = (canaries: readonly Change[], go: readonly Change[], version: string): string =>
  canaries.length > 0
    ? `waits until ${few(canaries)} is at ${version}, as rollout.canary in fleet.yaml says`
    : `waits for its wave: ${go.length} tenants are being migrated to ${version}`

const few = (changes: readonly Change[]): string =>
  changes
    .slice(0, 3)
    .map(({ name }) => name)
    .join(", ") + (changes.length > 3 ? ", …" : "")

/**
 * The canaries that are not at the version yet; none where the version has proven itself. Canaries that can prove
 * nothing, since they are neither at the version nor to be migrated, are not waited for: where none is left of those
 * that fleet.yaml names, the first tenant stands in.
 */
function canariesOf(
  pending: readonly Change[],
  { version, entries }: { version: string; entries: readonly LedgerEntry[] },
  canary: RolloutPolicy["canary"],
): Change[] {
  const there = entries.filter(({ schema, state }) => schema === version && state !== "retired")
  const able = [
    ...pending.map((change) => ({ id: change.tenant, name: change.name, change })),
    ...there.map(({ id, name }) => ({ id, name, change: undefined })),
  ].toSorted((a, b) => (a.id < b.id ? -1 : 1))
  const named = typeof canary === "number" ? [] : able.filter(({ name }) => canary.includes(name))
  const count = typeof canary === "number" ? canary : 1
  const group = named.length > 0 ? named : able.slice(0, count)
  return group.flatMap(({ change }) => change ?? [])
}

/** The same for all that is to be done: what is no migration of a tenant that is served already need not wait. */
export function takeTurns<D extends { changes: readonly Change[] }>(
  diff: D,
  world: Parameters<typeof rollOut>[1],
  policy: RolloutPolicy,
): { diff: D; waiting: Waiting[]; retryAt: number | undefined } {
  const migrations = diff.changes.filter(({ kind }) => kind === "migrate")
  if (migrations.length === 0) return { diff, waiting: [], retryAt: undefined }
  const rollout = rollOut(migrations, world, policy)
  const go = new Set(rollout.go)
  const changes = diff.changes.flatMap((change) =>
    change.kind !== "migrate" || go.has(change) ? change : (change.otherwise ?? []),
  )
  return { diff: { ...diff, changes }, waiting: rollout.waiting, retryAt: rollout.retryAt }
}

const needsMigrations = ({ actions }: Change) => actions.some(({ kind }) => kind === "migrate")

/** While a migration's file is faulty nobody is migrated, and so nobody is made; all other changes go on. */
export function withoutMigrations<D extends { changes: readonly Change[] }>(
  diff: D,
  { reason, message }: { reason: string; message: string },
): { diff: D; waiting: Waiting[]; retryAt: undefined } {
  const waiting = diff.changes
    .filter(needsMigrations)
    .map((change) => ({ change, reason, message, isStalled: change.kind !== "migrate" }))
  const changes = diff.changes
    .flatMap((change) => (needsMigrations(change) ? (change.otherwise ?? []) : change))
    .filter((change) => !needsMigrations(change))
  return {
    diff: { ...diff, changes },
    waiting,
    retryAt: undefined,
  }
}

/** What is known of failures after a pass that tried to bring tenants to `version`. `now`: milliseconds since 1970. */
export function remember(
  failures: Failures,
  outcomes: readonly {
    change: Change
    error?: { reason: string; message: string; isTerminal: boolean } | undefined
  }[],
  { version, now }: { version: string; now: number },
): Failures {
  const kept = new Map([...failures].filter(([, failure]) => failure.version === version))
  for (const { change, error } of outcomes) {
    if (change.kind !== "migrate" || error?.reason === "Interrupted") continue
    const attempts = (kept.get(change.tenant)?.attempts ?? 0) + 1
    if (error) kept.set(change.tenant, { version, ...error, at: now, attempts })
    else kept.delete(change.tenant)
  }
  return kept
}
