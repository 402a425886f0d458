/** Neon's operations: one change at a time is under way in the project, and the list remembers them all. */
import { randomUUID } from "node:crypto"
import { type Control, type Queryable, queryInTurn } from "./control.ts"
import type { Effect } from "./effects.ts"
import { ENDED, pause, runChange, type OperationRow, type Outcome } from "./run-change.ts"

export type Operations = {
  /** Records a change in the caller's transaction, whose it is until `start` or `abandon`. */
  schedule: (client: Queryable, effect: Effect) => Promise<OperationRow[]>
  /** Sets the change going; its transaction is committed. */
  start: (rows: readonly OperationRow[], outcome: Outcome) => void
  /** Whatever came of its transaction: what is on record and in nobody's hands is carried on. Returns at once. */
  abandon: (rows: readonly OperationRow[]) => void
  /** Begins work of Neon's own, which locks the project for `lockMs`. */
  startBackgroundWork: (lockMs: number) => Promise<void>
  /** Makes other changes wait for the caller's transaction. False where one is under way already. */
  lock: (client: Queryable) => Promise<boolean>
  /** Newest first; `before` is the `seq` that ended the previous page. */
  list: (options: { before?: number | undefined; limit: number }) => Promise<OperationRow[]>
  get: (id: string) => Promise<OperationRow | undefined>
  /** Lets stuck operations go on. */
  release: () => void
  /** Stops in the middle of whatever runs; the next start carries it on. */
  close: () => Promise<void>
}

/** The newest operations that are kept. */
const KEPT = 5000

/** At four a second, two minutes without Postgres. */
const ATTEMPTS = 480

/** Waits until a change that another transaction schedules is on record, or is not. */
const UNTIL_SCHEDULED = "select from cell for update"

const COLUMNS = `seq::float8 as seq, id, change_id as "changeId", action, status, effect,
  failures_count as "failuresCount", error, retry_at as "retryAt", created_at as "createdAt", updated_at as "updatedAt"`

/**
 * Carries on whatever an earlier server left under way. Each operation takes `operationMs` milliseconds; with 0, as
 * long as its effect takes.
 */
export async function startOperations(options: {
  control: Control
  superuserUri: string
  operationMs: number
}): Promise<Operations> {
  const { pool } = options.control
  const closing = new AbortController()
  const underWay = new Set<Promise<void>>()
  /** The ids of the changes that somebody carries out, or will when they are committed. */
  const changes = new Set<string>()
  let release = Promise.withResolvers<void>()

  function inBackground(work: () => Promise<void>): void {
    const done = persist(work).finally(() => underWay.delete(done))
    underWay.add(done)
  }

  function start(rows: readonly OperationRow[], outcome: Outcome, operationMs = options.operationMs): void {
    const run = { ...options, operationMs, closing: closing.signal, released: release.promise }
    inBackground(() => runChange(rows, outcome, run).then(() => forget(rows)))
  }

  function forget(rows: readonly OperationRow[]): void {
    for (const { changeId } of rows) changes.delete(changeId)
  }

  async function record(client: Queryable, actions: readonly Action[]): Promise<OperationRow[]> {
    const id = randomUUID()
    changes.add(id)
    try {
      return await insert(client, id, actions)
    } catch (error) {
      changes.delete(id)
      throw error
    }
  }

  async function startUnfinished(): Promise<void> {
    const rows = await queryInTurn<OperationRow>(
      pool,
      UNTIL_SCHEDULED,
      `select ${COLUMNS} from operations where change_id in (
         select change_id from operations where status not in ${ENDED}) order by operations.seq`,
    )
    for (const [id, change] of Map.groupBy(rows, (row) => row.changeId)) {
      if (changes.has(id)) continue
      changes.add(id)
      start(change, { kind: "finishes" })
    }
  }

  /** A Postgres that is away for a while only delays a change: a project that stays locked helps nobody. */
  async function persist(work: () => Promise<void>): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work()
      } catch (error) {
        if (closing.signal.aborted) return
        if (attempt === 1) process.stderr.write(`neon stand-in: a change is delayed: ${String(error)}\n`)
        if (attempt === ATTEMPTS) throw error
        await pause(250, closing.signal).catch(() => {}) // closing is looked at in the next round
      }
    }
  }

  await startUnfinished()

  return {
    start,
    abandon: (rows) => {
      forget(rows)
      inBackground(startUnfinished)
    },
    schedule: (client, effect) =>
      record(client, [
        { action: "apply_config", effect },
        { action: "suspend_compute", effect: null },
      ]),
    startBackgroundWork: async (lockMs) => {
      start(
        await record(pool, [{ action: "check_availability", effect: null }]),
        { kind: "finishes" },
        lockMs,
      )
    },
    lock: async (client) => {
      const another = `select from operations where status not in ${ENDED} limit 1`
      return (await queryInTurn(client, UNTIL_SCHEDULED, another)).length === 0
    },
    list: async ({ before, limit }) => {
      const { rows } = await pool.query<OperationRow>(
        `select ${COLUMNS} from operations where $1::bigint is null or operations.seq < $1
         order by operations.seq desc limit $2`,
        [before ?? null, limit],
      )
      return rows
    },
    get: async (id) => {
      const { rows } = await pool.query<OperationRow>(
        `select ${COLUMNS} from operations where id::text = $1`,
        [id.toLowerCase()],
      )
      return rows[0]
    },
    release: () => {
      release.resolve()
      release = Promise.withResolvers<void>()
    },
    close: async () => {
      closing.abort()
      await Promise.all(underWay)
    },
  }
}

type Action = { action: string; effect: Effect | null }

async function insert(client: Queryable, id: string, actions: readonly Action[]): Promise<OperationRow[]> {
  const { rows } = await client.query<OperationRow>(
    `with old as (delete from operations where seq <= (select max(seq) from operations) - $3::int)
     insert into operations (change_id, action, effect)
     select $1, action, effect
     from rows from (jsonb_to_recordset($2) as (action text, effect jsonb)) with ordinality as a (action, effect, nth)
     order by nth returning ${COLUMNS}`,
    [id, JSON.stringify(actions), KEPT - actions.length],
  )
  return rows
}
