/** The tenants' databases, as handlers see them: one at a time, to read from or to write to. */
import { setTimeout as sleep } from "node:timers/promises"
import type { TenantId } from "../reconciler/tenant.ts"
import { activeCredentials, RETRY_AFTER } from "./active.ts"
import type { Departure } from "./departure.ts"
import { isSchemaBehind, isTimeout } from "./failures.ts"
import { Problem } from "./problems.ts"
import { PoolBusy } from "./queue.ts"
import { createRunner, type RunnerOptions, unavailable } from "./runner.ts"
import { CommitCut, outcomeOf, type Query, queryOn, transact } from "./transaction.ts"

/** One tenant's database, and no way to any other's. */
export type TenantDatabase = {
  tenant: TenantId
  /** Runs `work`, which only reads. It runs again when its session is cut, so it has no effect but its result. */
  read: <T>(work: (query: Query) => Promise<T>) => Promise<T>
  /** Runs `work` in a transaction; again, when that transaction surely did not commit. */
  write: <T>(work: (query: Query) => Promise<T>) => Promise<T>
}

export type Databases = {
  /**
   * The database of a tenant that is served. Throws the Problem that says why it is not. `signal` aborts when there is
   * nobody to answer any more: what runs is stopped, and ClientGone is thrown.
   */
  open: (tenant: TenantId, signal?: Departure) => Promise<TenantDatabase>
}

/** How often an unfinished transaction is looked at, in milliseconds. */
const LOOK_AGAIN = 25

/** Databases by what the vault says of each tenant. */
export function openDatabases(options: RunnerOptions): Databases {
  const { patience } = options
  const credentialOf = activeCredentials(options.credentials, options.log)
  const run = createRunner(options)

  async function write<T>(
    tenant: TenantId,
    work: (query: Query) => Promise<T>,
    signal: Departure | undefined,
  ): Promise<T> {
    const giveUp = performance.now() + 2 * patience
    for (;;) {
      try {
        return await run(tenant, "acquire", (connection) => transact(connection, work, signal), signal)
      } catch (error) {
        if (!(error instanceof CommitCut)) throw error
        const isCommitted = await settle(tenant, error)
        if (isCommitted) return error.result as T
        if (performance.now() > giveUp) throw unavailable(error.cause)
      }
    }
  }

  /** Whether a transaction whose commit was cut off took place; the server is asked, never guessed at. */
  async function settle(tenant: TenantId, cut: CommitCut): Promise<boolean> {
    const deadline = performance.now() + patience
    while (performance.now() < deadline) {
      const outcome = await run(tenant, "share", (connection) =>
        outcomeOf(queryOn(connection), cut.transaction),
      ).catch((error: unknown) => {
        throw unknownOutcome(error)
      })
      if (outcome === "committed" || outcome === "aborted") return outcome === "committed"
      if (outcome === undefined) break
      await sleep(LOOK_AGAIN)
    }
    throw unknownOutcome(cut)
  }

  return {
    async open(tenant, signal) {
      await credentialOf(tenant)
      return {
        tenant,
        read: (work) =>
          asProblem(run(tenant, "share", (connection) => work(queryOn(connection, signal)), signal)),
        write: (work) => asProblem(write(tenant, work, signal)),
      }
    },
  }
}

const unknownOutcome = (cause: unknown) =>
  new Problem("outcome-unknown", "the connection was cut while the change was being committed", { cause })

/** Names the failures that are about load or time, and not a fault of this program. */
async function asProblem<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (error instanceof PoolBusy) {
      throw new Problem("database-busy", "too many requests wait for the tenant's database", {
        retryAfter: RETRY_AFTER,
        cause: error,
      })
    }
    if (isSchemaBehind(error)) {
      throw new Problem("schema-behind", "the tenant's database waits for a migration that this needs", {
        retryAfter: RETRY_AFTER,
        cause: error,
      })
    }
    if (isTimeout(error)) {
      throw new Problem("database-timeout", "the database did not finish in time", { cause: error })
    }
    throw error
  }
}
