/**
 * Several steps in one message to Postgres, each in a transaction of its own with its record: one round trip for all.
 * Where one fails Postgres skips the rest of the message, so what came before is applied and recorded, and nothing else.
 */
import { type Client, DatabaseError } from "pg"
import { TerminalError } from "../errors.ts"
import type { Migration, Part, StepLimits } from "../migrations.ts"
import { indexOf, lineAt, parseStatements, type Statement, SqlSyntaxError } from "../sql-text.ts"
import { at, stepError } from "./step-error.ts"

export type Direction = "up" | "down"

/** A stretch of the message. `step`: whose part it is; undefined for what we add around it. */
type Piece = { sql: string; statements: readonly { start: number }[]; step?: Migration; part?: Part }

const parsed = new WeakMap<Part, Promise<Statement[]>>()

/** The statements of a step's part. Throws TerminalError with file, line and Postgres's message where it is no SQL. */
export async function statementsOf({ file }: Migration, part: Part): Promise<Statement[]> {
  const known = parsed.get(part) ?? parseStatements(part.sql)
  parsed.set(part, known)
  try {
    return await known
  } catch (error) {
    if (!(error instanceof SqlSyntaxError)) throw error
    throw new TerminalError(
      "MigrationFailed",
      `${at({ file, line: lineIn(part, error.index) })}: ${error.message}`,
    )
  }
}

export const lineIn = (part: Part, index: number): number => part.line - 1 + lineAt(part.sql, index)

/** Throws TerminalError where a step would end the transaction that holds it and its record. */
export async function assertOneTransaction(step: Migration, part: Part): Promise<void> {
  const harmless = /SAVEPOINT|RELEASE|ROLLBACK_TO/
  for (const { node, start } of await statementsOf(step, part)) {
    if (!("TransactionStmt" in node) || harmless.test(node.TransactionStmt.kind ?? "")) continue
    const where = at({ file: step.file, line: lineIn(part, start) })
    const why = "a step is one transaction already: remove begin, commit and rollback"
    throw new TerminalError("MigrationFailed", `${where}: ${why}`)
  }
}

const ours = (sql: string): Piece => ({ sql, statements: sql.split(";").map(() => ({ start: 0 })) })

const limit = (statement: string, { lockTimeout, statementTimeout }: StepLimits) =>
  ours(`${statement} lock_timeout = ${lockTimeout}; ${statement} statement_timeout = ${statementTimeout}`)

async function theirs(step: Migration, part: Part): Promise<Piece> {
  return { sql: `${part.sql}\n`, statements: await statementsOf(step, part), step, part }
}

/** Runs the steps, each with `record`'s statement in its transaction. Throws for the step that fails; see stepError. */
export async function runSteps(
  client: Client,
  steps: readonly { step: Migration; part: Part; record: string }[],
  { limits, first }: { limits: StepLimits; first: string | undefined },
): Promise<void> {
  const pieces = first ? [ours(first)] : []
  for (const { step, part, record } of steps) {
    pieces.push(ours("begin"), limit("set local", limits))
    // The last commit waits for the disk, and what it waits for holds those before it.
    if (step !== steps.at(-1)?.step) pieces.push(ours("set local synchronous_commit = off"))
    pieces.push(await theirs(step, part), ours(record), ours("commit"))
    // What a step sets for its session must not reach the next one, which another runner may apply in another session.
    pieces.push(ours("reset all"))
  }
  await send(client, pieces)
}

/** Runs the steps in one transaction that is rolled back. Throws for the step that would fail; see stepError. */
export async function rehearseSteps(
  client: Client,
  steps: readonly { step: Migration; part: Part }[],
  { limits }: { limits: StepLimits },
): Promise<void> {
  const pieces = [ours("begin")]
  for (const { step, part } of steps) pieces.push(limit("set local", limits), await theirs(step, part))
  await send(client, [...pieces, ours("rollback")])
}

async function send(client: Client, pieces: readonly Piece[]): Promise<void> {
  let completed = 0
  const count = () => completed++
  client.connection.on("commandComplete", count)
  try {
    await client.query(pieces.map(({ sql }) => sql).join(";\n"))
  } catch (error) {
    const place = placeOf(error, pieces, completed)
    throw place ? stepError(place, error) : error
  } finally {
    client.connection.off("commandComplete", count)
  }
}

/** Postgres says where an error stands, or at least it has said which statements were through. */
function placeOf(error: unknown, pieces: readonly Piece[], completed: number) {
  const position = error instanceof DatabaseError && error.position ? Number(error.position) : undefined
  const message = pieces.map(({ sql }) => sql).join(";\n")
  const index = position === undefined ? undefined : indexOf(message, position)
  let start = 0
  let before = 0
  for (const { sql, statements, step, part } of pieces) {
    const isHere =
      index === undefined ? completed < before + statements.length : index < start + sql.length + 1
    if (isHere) {
      if (!step || !part) return undefined
      const within = index === undefined ? statements[completed - before]!.start : index - start
      return { file: step.file, line: lineIn(part, Math.min(within, part.sql.length)) }
    }
    start += sql.length + 2
    before += statements.length
  }
  return undefined
}
