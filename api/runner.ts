/** One piece of work against one tenant's database, tried again for as long as that is safe and may help. */
import type { Logger } from "../reconciler/log.ts"
import type { TenantId } from "../reconciler/tenant.ts"
import { activeCredentials, RETRY_AFTER } from "./active.ts"
import {
  type ActiveCredential,
  type Connection,
  isConnectionLost,
  MarkerMismatch,
  NotConnected,
} from "./connections.ts"
import type { CredentialCache } from "./credentials.ts"
import type { Departure } from "./departure.ts"
import { assertPresent, codeOf, forLog } from "./failures.ts"
import type { Pools } from "./pools.ts"
import { PoolBusy } from "./queue.ts"
import { Problem } from "./problems.ts"
import { CommitCut } from "./transaction.ts"

export type RunnerOptions = {
  credentials: CredentialCache
  pools: Pools
  log: Logger
  /** How long one request tries again after its first failure to reach its database, in milliseconds. */
  patience: number
}

/**
 * Runs `attempt` with a connection to the tenant's database, again with another one where the connection was lost or a
 * race was met, until it is done or patience is over. CommitCut is thrown at once: what happened is not known yet.
 * When `signal` aborts, it waits and tries no longer, and throws ClientGone.
 */
export type Run = <T>(tenant: TenantId, use: Use, attempt: Attempt<T>, signal?: Departure) => Promise<T>

/** share: single statements that only read, next to others of the tenant. acquire: whatever it is, alone. */
type Use = "share" | "acquire"

/** While connecting fails, the secret is read again at most this often per tenant; in milliseconds. */
const REREAD_INTERVAL = 500
const FIRST_PAUSE = 25
const LONGEST_PAUSE = 400
/** What the tenant's role may not do, by a secret that may be an old one. */
const FORBIDDEN = "42501"
/** Serialisation failure, deadlock, a reference or a key that appeared meanwhile, a statement that a pooler has lost, rights that changed. */
const RACES = new Set(["40001", "40P01", "23001", "23503", "23505", "26000", "42P05", FORBIDDEN])
const MAX_RACES = 3
/** A plan that a migration has made stale: each connection of a tenant may have one, and is closed then. */
const STALE_PLAN = "0A000"
const MAX_STALE = 100

/** Its effects must be undone by the end of the connection, unless it resolves or throws CommitCut. */
type Attempt<T> = (connection: Connection) => Promise<T>
/** What came of one attempt. `unreached`: no connection, so nothing ran. */
type Outcome<T> = { kind: "done"; value: T } | { kind: "unreached" | "failed"; error: unknown; lost: boolean }

/** A runner over these pools, with the credentials that the vault gives. */
export function createRunner({ credentials, pools, log, patience }: RunnerOptions): Run {
  const credentialOf = activeCredentials(credentials, log)
  /** Who waits before another try, by tenant. */
  const waiting = new Map<TenantId, Set<() => void>>()

  /** Waits, and no longer than until somebody has reached the tenant's database: the way may be open for a moment only. */
  async function rest(tenant: TenantId, ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, ms)
    const others = waiting.get(tenant) ?? new Set()
    waiting.set(tenant, others.add(resolve))
    await promise
    clearTimeout(timer)
    others.delete(resolve)
    if (others.size === 0) waiting.delete(tenant)
  }

  /** One try with one connection. A connection on which anything went wrong is destroyed. */
  async function attemptOnce<T>(
    tenant: TenantId,
    credential: ActiveCredential,
    use: Use,
    attempt: Attempt<T>,
    { signal, isAgain }: { signal: Departure | undefined; isAgain: boolean },
  ): Promise<Outcome<T>> {
    let connection: Connection
    try {
      connection = await pools[use](tenant, credential, signal)
    } catch (error) {
      if (error instanceof NotConnected) return { kind: "unreached", error: error.cause, lost: true }
      // All who waited for the way to be open come at once, and may be more than the queue takes.
      if (isAgain && error instanceof PoolBusy) return { kind: "unreached", error, lost: true }
      throw error
    }
    let sound = signal?.aborted === true
    try {
      assertPresent(signal)
      const value = await attempt(connection)
      sound = true
      return { kind: "done", value }
    } catch (error) {
      return { kind: "failed", error, lost: isConnectionLost(connection, error) }
    } finally {
      pools.release(tenant, connection, sound)
    }
  }

  return async (tenant, use, attempt, signal) => {
    let credential = await credentialOf(tenant)
    let deadline = Number.POSITIVE_INFINITY
    let races = 0
    let stale = 0
    for (let pause = FIRST_PAUSE; ; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
      const isAgain = deadline < Number.POSITIVE_INFINITY
      const outcome = await attemptOnce(tenant, credential, use, attempt, { signal, isAgain })
      if (outcome.kind === "done") {
        if (waiting.size > 0) for (const wake of waiting.get(tenant) ?? []) wake()
        return outcome.value
      }
      const { error } = outcome
      if (error instanceof CommitCut) throw error
      assertPresent(signal)
      if (error instanceof MarkerMismatch) {
        const { uri } = credential
        credential = await credentialOf(tenant, 0)
        if (credential.uri !== uri && races++ < MAX_RACES) continue
        log.error(
          { tenant, alarm: "marker-mismatch", error: forLog(error) },
          "a secret leads to a database of somebody else",
        )
        throw new Problem(
          "database-mismatch",
          "the tenant's secret leads to a database that is not the tenant's",
        )
      }
      const code = codeOf(error) ?? ""
      const isRace = (RACES.has(code) && races++ < MAX_RACES) || (code === STALE_PLAN && stale++ < MAX_STALE)
      if (!outcome.lost && !isRace) throw error

      deadline = Math.min(deadline, performance.now() + patience)
      if (performance.now() + pause > deadline) {
        log.error({ tenant, error: forLog(error) }, "a database stayed out of reach")
        throw unavailable(error)
      }
      if (outcome.kind === "unreached" || code === FORBIDDEN) {
        // Nothing has been done. The secret may have changed: a rename, a rotation, or the tenant's end.
        credential = await credentialOf(tenant, REREAD_INTERVAL)
      }
      await rest(tenant, pause * (0.5 + Math.random() / 2))
    }
  }
}

/** The database could not be reached for as long as a request may wait. */
export const unavailable = (cause: unknown) =>
  new Problem("database-unavailable", "the tenant's database cannot be reached at the moment", {
    retryAfter: RETRY_AFTER,
    cause,
  })
