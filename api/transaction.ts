/** Work on one connection: a read, or a transaction whose outcome is known even when its connection is cut. */
import type { QueryResult } from "pg"
import type { Connection } from "./connections.ts"
import type { Departure } from "./departure.ts"
import { assertPresent } from "./failures.ts"
import type { Statement, Value } from "./prepared.ts"

/** Runs one statement and gives its rows. `Row` is what the statement's select list promises. */
export type Query = <Row>(statement: Statement, values: readonly Value[]) => Promise<Row[]>

/** Thrown when the connection was cut while the commit was under way. */
export class CommitCut extends Error {
  override readonly name = "CommitCut"
  /** The transaction's id, with which the server tells what became of it. */
  readonly transactionId: string
  /** What the work returned; true once the commit is known to have happened. */
  readonly result: unknown
  constructor(transactionId: string, result: unknown, cause: unknown) {
    super("the connection was cut during a commit", { cause })
    this.transactionId = transactionId
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
  const begun = await connection.query("begin; select pg_current_xact_id()::text as id", signal)
  const [, identity] = begun as unknown as QueryResult<{ id: string }>[]
  const result = await work(queryOn(connection, signal))
  assertPresent(signal)
  const commit = await connection.query("commit").catch((error: unknown) => {
    throw new CommitCut(identity!.rows[0]!.id, result, error)
  })
  if (commit.command !== "COMMIT") throw new Error(`a transaction ended with ${commit.command}`)
  return result
}

const OUTCOME: Statement = { name: "transaction-outcome", text: "select pg_xact_status($1::xid8) as outcome" }

/** What became of a transaction; undefined where the server no longer knows. */
export async function outcomeOf(
  query: Query,
  transactionId: string,
): Promise<"committed" | "aborted" | "in progress" | undefined> {
  const [row] = await query<{ outcome: "committed" | "aborted" | "in progress" | null }>(OUTCOME, [
    transactionId,
  ])
  return row?.outcome ?? undefined
}
