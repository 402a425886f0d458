/** Work on one connection: a read, or a transaction whose outcome is known even when its connection is cut. */
import type { QueryResult } from "pg"
import type { Connection } from "./connections.ts"
import type { Departure } from "./departure.ts"
import { assertPresent, codeOf } from "./failures.ts"
import type { Statement, Value } from "./prepared.ts"

/** Runs one statement and gives its rows. `Row` is what the statement's select list promises. */
export type Query = <Row>(statement: Statement, values: readonly Value[]) => Promise<Row[]>

/** A transaction's id, and when it began by the server's clock, as the server writes both. */
type Transaction = { id: string; at: string }

/** Thrown when the connection was cut while the commit was under way. */
export class CommitCut extends Error {
  override readonly name = "CommitCut"
  /** With which the server tells what became of it. */
  readonly transaction: Transaction
  /** What the work returned; true once the commit is known to have happened. */
  readonly result: unknown
  constructor(transaction: Transaction, result: unknown, cause: unknown) {
    super("the connection was cut during a commit", { cause })
    this.transaction = transaction
    this.result = result
  }
}

/** Statements on this connection; when `signal` aborts, the one that runs is stopped. */
export const queryOn =
  (connection: Connection, signal?: Departure): Query =>
  (statement, values) =>
    connection.run(statement, values, signal)

/**
 * Runs `work` in a transaction. Where it throws anything but CommitCut, nothing was committed; the caller then
 * destroys the connection, which rolls back. A commit is never cancelled.
 */
export async function transact<T>(
  connection: Connection,
  work: (query: Query) => Promise<T>,
  signal?: Departure,
): Promise<T> {
  const begin = "begin; select pg_current_xact_id()::text as id, now()::text as at"
  const begun = await connection.query(begin, signal)
  const [, identity] = begun as unknown as QueryResult<Transaction>[]
  const result = await work(queryOn(connection, signal))
  assertPresent(signal)
  const commit = await connection.query("commit").catch((error: unknown) => {
    throw new CommitCut(identity!.rows[0]!, result, error)
  })
  if (commit.command !== "COMMIT") throw new Error(`a transaction ended with ${commit.command}`)
  return result
}

/**
 * A server that crashes forgets transactions that never reached its disk, and gives their ids to others. It counts its
 * statistics anew then, and at no other start (https://www.postgresql.org/docs/18/monitoring-stats.html).
 */
const OUTCOME: Statement = {
  name: "transaction-outcome",
  text: `select pg_xact_status($1::xid8) as outcome,
           (select stats_reset > $2::timestamptz from pg_stat_bgwriter) as "hasCrashed"`,
}
/** The id lies in the future. */
const NEVER_HEARD = "22023"

/** What became of a transaction; undefined where the server no longer knows. */
export async function outcomeOf(
  query: Query,
  { id, at }: Transaction,
): Promise<"committed" | "aborted" | "in progress" | undefined> {
  type Row = { outcome: "committed" | "aborted" | "in progress" | null; hasCrashed: boolean | null }
  const [row] = await query<Row>(OUTCOME, [id, at]).catch((error: unknown): Row[] => {
    if (codeOf(error) !== NEVER_HEARD) throw error
    return [{ outcome: "aborted", hasCrashed: true }]
  })
  // It may be another's commit.
  if (row?.outcome === "committed" && row.hasCrashed === true) return undefined
  return row?.outcome ?? undefined
}
