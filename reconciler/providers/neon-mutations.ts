/** Changing Neon safely: what may be sent again, what must be looked at first, and when a change has taken effect. */
import { setTimeout as sleep } from "node:timers/promises"
import { countRetry } from "../calls.ts"
import { TerminalError, TransientError } from "../errors.ts"
import { neonError, NeonFailure } from "./neon-errors.ts"
import type { Permit } from "./pacing.ts"
import { createPauses } from "./pauses.ts"

export type Operation = { id: string; status: string; action: string; error?: string | undefined }

/** What a mutation needs to see of Neon. Each throws NeonFailure. */
type Look = {
  operation: (id: string) => Promise<{ operation: Operation }>
  recent: () => Promise<{ operations: Operation[] }>
  /** All databases. */
  names: () => Promise<string[]>
  /** Milliseconds between two looks at an operation, at most. */
  pollInterval: number
  permit: Permit
  /** Longest that one mutation may take with its retries and operations; milliseconds. */
  timeout: number
}

type Mutation = {
  /** In words, for errors. */
  what: string
  send: () => Promise<{ operations: Operation[] }>
  /** Whether a list of databases shows its effect. */
  isDone: (names: readonly string[]) => boolean
  /** The database that must exist for it. */
  subject: string | undefined
}

/** How often a mutation whose answer was lost, and which had no effect, is sent again. */
const MAX_RESENDS = 4

const pause = (attempt: number, failure: NeonFailure) =>
  sleep(failure.retryAfter ?? Math.min(250 * 2 ** attempt, 8000) * (0.75 + Math.random() / 2))

export function createMutations({ operation: lookAt, recent, names, pollInterval, timeout, permit }: Look) {
  const beginPauses = createPauses(pollInterval)

  /** Returns when all have ended with their effect. Throws TransientError where one failed or does not end. */
  async function settled(operations: readonly Operation[], deadline: number): Promise<void> {
    const { next, over } = beginPauses()
    // What the answer said of an operation is old once another has been waited for, so that is looked at without a pause.
    let isOld = false
    for (let operation of operations) {
      while (!hasEnded(operation)) {
        const { id, action, status } = operation
        if (Date.now() > deadline) {
          throw new TransientError("OperationStuck", `Neon's operation ${action} (${id}) is still ${status}`)
        }
        if (!isOld) await sleep(next())
        isOld = false
        permit.signal?.throwIfAborted()
        try {
          operation = (await lookAt(id)).operation
        } catch (error) {
          // A look that failed says nothing about the operation: look again.
          if (!(error instanceof NeonFailure) || !(error.isPassing || error.isAmbiguous)) throw error
        }
      }
      isOld = true
    }
    over()
  }

  /** After a lost answer: the databases, once nothing runs in the project any more; undefined where nobody can tell. */
  async function lookBack(deadline: number): Promise<string[] | undefined> {
    try {
      const { operations } = await recent()
      for (const operation of operations.filter(isRunning)) {
        await settled([operation], deadline).catch((error: unknown) => {
          if (!(error instanceof TransientError) || error.reason !== "OperationFailed") throw error
        })
      }
      return await names()
    } catch (error) {
      if (!(error instanceof NeonFailure)) throw error
      if (error.isPassing || error.isAmbiguous) return undefined
      throw neonError("see what became of a lost answer", error)
    }
  }

  /** An acceptance that names no operation promises nothing: only the list shows when its effect is there. */
  async function untilSeen(what: string, isDone: Mutation["isDone"], deadline: number): Promise<void> {
    for (;;) {
      const seen = await lookBack(deadline)
      if (seen && isDone(seen)) return
      if (Date.now() > deadline) {
        throw new TransientError(
          "OperationStuck",
          `could not ${what}: Neon has accepted it, and nothing has come of it`,
        )
      }
      await sleep(pollInterval)
    }
  }

  /**
   * Sends a mutation until it has taken effect. 423, 429 and 503 were not acted on, so they are sent again; after any
   * other failure the world is looked at first, because Neon knows no idempotency keys.
   */
  async function mutate({ what, send, isDone, subject }: Mutation): Promise<void> {
    const deadline = Date.now() + timeout
    let isLost = false
    let resends = 0
    for (let attempt = 0; ; attempt++) {
      try {
        const { operations } = await send()
        await settled(operations, deadline)
        if (operations.length === 0) await untilSeen(what, isDone, deadline)
        return
      } catch (error) {
        if (!(error instanceof NeonFailure)) throw error
        const isUnclear = error.isAmbiguous || error.status === 404 || error.status === 409
        if (!isUnclear && !error.isPassing) throw neonError(what, error)
        if (isUnclear) {
          isLost ||= error.isAmbiguous
          const seen = await lookBack(deadline)
          if (seen && isDone(seen)) {
            if (isLost || error.status === 404) return
            throw new TerminalError(
              "NameTaken",
              `could not ${what}: there is one of this name already, and not by us`,
            )
          }
          if (seen && subject && !seen.includes(subject)) {
            throw new TransientError("DatabaseGone", `could not ${what}: Neon does not list ${subject}`)
          }
          if (++resends > MAX_RESENDS) throw neonError(what, error)
        }
        if (Date.now() > deadline) throw neonError(what, error)
        countRetry("neon", error.status)
        await pause(attempt, error)
      }
    }
  }

  return { mutate }
}

const isRunning = ({ status }: Operation) => ["scheduling", "running", "error", "cancelling"].includes(status)

/** Throws where it ended without its effect. `error` is no end: Neon tries again by itself. */
function hasEnded({ action, status, error }: Operation): boolean {
  if (status === "failed" || status === "cancelled") {
    throw new TransientError(
      "OperationFailed",
      `Neon's operation ${action} ${status}: ${error ?? "no reason given"}`,
    )
  }
  return status === "finished" || status === "skipped"
}
