/** One change on its way: its operations go from scheduling to running to an end, and Postgres changes meanwhile. */
import { setTimeout as sleep } from "node:timers/promises"
import { escapeLiteral } from "pg"
import { isTransient, queryInTurn, type Control } from "./control.ts"
import { carryOut, settle, type Effect } from "./effects.ts"

type OperationStatus =
  | "scheduling"
  | "running"
  | "finished"
  | "failed"
  | "error"
  | "cancelling"
  | "cancelled"
  | "skipped"

export type OperationRow = {
  seq: number
  id: string
  changeId: string
  action: string
  status: OperationStatus
  effect: Effect | null
  failuresCount: number
  error: string | null
  retryAt: Date | null
  createdAt: Date
  updatedAt: Date
}

/** How a change goes on once it is scheduled; anything but "finishes" is switched on by a fault. */
export type Outcome =
  | { kind: "finishes" }
  | { kind: "fails"; effectDone: boolean }
  | { kind: "sticks"; effectDone: boolean }
  | { kind: "errs-first"; retryMs?: number | undefined }
  | { kind: "cancelled" }

/** The statuses that an operation never leaves, as SQL. */
export const ENDED = "('finished', 'failed', 'cancelled', 'skipped')"

export type Run = {
  control: Control
  superuserUri: string
  operationMs: number
  /** Aborted when the server closes: the change is left as it is, for the next start. */
  closing: AbortSignal
  /** Settles when stuck operations may go on. */
  released: Promise<void>
}

type Ending = { status: "finished" | "failed" | "cancelled"; error?: string }

/** Waits, unless the server closes: then it throws. */
export const pause = (ms: number, closing: AbortSignal): Promise<void> =>
  ms > 0 ? sleep(ms, undefined, { signal: closing }) : Promise.resolve()

/**
 * Takes the operations of one change, oldest first, to their end; each step can be repeated by a later run. The first
 * has the effect. The compute's suspension after it is skipped, because somebody uses the compute.
 */
export async function runChange(rows: readonly OperationRow[], outcome: Outcome, run: Run): Promise<void> {
  const [first, ...rest] = rows
  if (first === undefined) return
  if (first.status !== "finished") {
    await pause(run.operationMs / 4, run.closing)
    if (!(await mark(first, "running", run))) return
    const ending = await runFirst(first, outcome, run)
    if (ending !== undefined) return end(first, rest, ending, run)
    await pause((run.operationMs * 3) / 4, run.closing)
    // With no time until the end, nobody would see it.
    if (rest.length > 0 && run.operationMs > 0) await mark(first, "finished", run)
  }
  await pause(run.operationMs / 4, run.closing)
  await end(first, rest, { status: "finished" }, run)
}

/** Returns how the change ends early, or undefined when all goes well. */
async function runFirst(first: OperationRow, outcome: Outcome, run: Run): Promise<Ending | undefined> {
  switch (outcome.kind) {
    case "cancelled":
      await mark(first, "cancelling", run)
      await pause(run.operationMs / 2, run.closing)
      return { status: "cancelled" }
    case "sticks":
      if (outcome.effectDone) await takeEffect(first, run)
      await Promise.race([run.released, aborted(run.closing)])
      run.closing.throwIfAborted()
      break
    case "errs-first": {
      const { retryMs = run.operationMs } = outcome
      await showError(first, retryMs, run)
      await pause(retryMs, run.closing)
      await mark(first, "running", run)
      break
    }
    case "fails":
      if (outcome.effectDone) await takeEffect(first, run)
      return { status: "failed", error: "failed to apply the configuration to the compute" }
    case "finishes":
      break
  }
  return takeEffect(first, run)
}

/** What Postgres refuses, such as a rename while sessions are connected, fails the operation with its message. */
async function takeEffect({ effect }: OperationRow, run: Run): Promise<Ending | undefined> {
  if (effect === null) return undefined
  try {
    await carryOut(effect, run.control, run.superuserUri)
    return undefined
  } catch (error) {
    if (isTransient(error)) throw error
    return { status: "failed", error: (error as Error).message }
  }
}

/**
 * Whether the operation had not ended. Does not wait for the disk: a mark that is lost with Postgres is followed by the end
 * all the same.
 */
async function mark(row: OperationRow, status: OperationStatus, { control }: Run): Promise<boolean> {
  const found = await queryInTurn(
    control.pool,
    "set local synchronous_commit = off",
    `update operations set status = ${escapeLiteral(status)}, error = null, retry_at = null, updated_at = clock_timestamp()
     where id = ${escapeLiteral(row.id)} and status not in ${ENDED} returning id`,
  )
  return found.length > 0
}

async function showError(row: OperationRow, retryMs: number, { control }: Run): Promise<void> {
  await control.pool.query(
    `update operations set status = 'error', failures_count = failures_count + 1,
       error = 'compute is not reachable', retry_at = now() + $2 * interval '1 millisecond',
       updated_at = clock_timestamp()
     where id = $1`,
    [row.id, retryMs],
  )
}

/**
 * One transaction, so that a server killed here leaves a change that is either under way or wholly over; nothing happens to
 * one that is over.
 */
async function end(
  first: OperationRow,
  rest: readonly OperationRow[],
  ending: Ending,
  { control }: Run,
): Promise<void> {
  await control.transaction(async (client) => {
    const { rowCount } = await client.query(
      `update operations set updated_at = clock_timestamp(), retry_at = null,
         status = case when id = $1 then $2 else 'skipped' end,
         error = case when id = $1 then $3 end,
         failures_count = failures_count + case when id = $1 and $2 = 'failed' then 1 else 0 end
       where id = any($4) and status not in ${ENDED}`,
      [first.id, ending.status, ending.error ?? null, [first, ...rest].map((row) => row.id)],
    )
    if (rowCount !== 0 && first.effect) await settle(first.effect, client)
  })
}

const aborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener("abort", () => resolve(), { once: true })
  })
