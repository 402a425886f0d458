/**
 * A step outside a transaction: one statement at a time. The record says before each statement how far the step is,
 * so that whoever finds it half done goes on from there.
 */
import { type Client, escapeLiteral as literal, escapeIdentifier as quote, type QueryResult } from "pg"
import { TerminalError } from "../errors.ts"
import type { Migration, Part, StepLimits } from "../migrations.ts"
import type { Statement } from "../sql-text.ts"
import { recordUndone, type Row } from "./migration-record.ts"
import { at, stepError } from "./step-error.ts"
import { type Direction, lineIn, statementsOf } from "./step-message.ts"

/** `row`: what the record says of the step so far. `first`: SQL that has to run before it. */
export async function runOutside(
  client: Client,
  step: Migration,
  part: Part,
  options: { direction: Direction; row: Row | undefined; limits: StepLimits; first: string | undefined },
): Promise<void> {
  const { direction, row, limits } = options
  const statements = await statementsOf(step, part)
  const under = direction === "up" ? "running" : "undoing"
  const isSame = row?.checksum === step.checksum
  const isResumed = isSame && (row.state === under || (row.state === "failed" && direction === "up"))
  const from = isResumed ? Math.min(row.statements, statements.length) : 0
  if (options.first) await client.query(options.first)

  for (const [number, statement] of statements.entries()) {
    if (number < from) continue
    const place = { file: step.file, line: lineIn(part, statement.start) }
    const isRepeated = isResumed && number === from
    try {
      const index = indexOfStatement(statement, place)
      const found = await announce(client, step, number, { under, index, limits })
      if (index?.makes && found === "valid" && isRepeated && row.state === under) continue
      if (!index?.makes && index && found === "none" && isRepeated) continue
      // Half a CREATE INDEX CONCURRENTLY leaves an index that costs every write and serves no read.
      if (index?.makes && found === "invalid" && (isRepeated || index.mayExist))
        await client.query(`drop index concurrently if exists ${index.name}`)
      await client.query(statement.text)
    } catch (error) {
      // Where this is not written either, the record says "running", and that is true as far as anybody knows.
      if (direction === "up") await client.query(write(step, "failed", number)).catch(() => {})
      throw stepError(place, error)
    }
  }
  if (client.getTransactionStatus() !== "I") {
    const place = at({ file: step.file, line: lineIn(part, statements.at(-1)!.start) })
    const why = "the step ends amid a transaction, so nothing of it would last: end it with commit"
    throw new TerminalError("MigrationFailed", `${place}: ${why}`)
  }
  const done = direction === "up" ? write(step, "done", statements.length) : recordUndone(step)
  await client.query(`${done}; reset all`)
}

const write = (
  { name, checksum }: Migration,
  state: Row["state"],
  statements: number,
  unless = "",
): string => {
  const reached = unless ? `case when ${unless} then 'failed' else '${state}' end` : `'${state}'`
  return `insert into tenantry.migrations (name, checksum, state, statements)
    values (${literal(name)}, ${literal(checksum)}, ${reached}, ${statements})
    on conflict (name) do update set checksum = excluded.checksum, state = excluded.state,
      statements = excluded.statements, applied_at = now()`
}

/** An index that a statement makes or drops CONCURRENTLY. `name` is quoted, and qualified where the statement is. */
type Index = { makes: boolean; mayExist: boolean; name: string; found: string }

/**
 * Records that the statement comes next, sets its limits, and says what there is of its index: all in one round trip.
 * "running" means that an index found later is this statement's own, so it is not written where there is one already.
 */
async function announce(
  client: Client,
  step: Migration,
  number: number,
  { under, index, limits }: { under: Row["state"]; index: Index | undefined; limits: StepLimits },
): Promise<"none" | "valid" | "invalid"> {
  // While it waits, CONCURRENTLY keeps nobody from reading and writing, and long transactions are all it waits for.
  const lockTimeout = index ? 0 : limits.lockTimeout
  const unless = index?.makes ? `exists (${index.found})` : ""
  const results = (await client.query(
    [
      index?.found ?? "select where false",
      write(step, under, number, unless),
      `set lock_timeout = ${lockTimeout}`,
      `set statement_timeout = ${limits.statementTimeout}`,
    ].join(";\n"),
  )) as unknown as QueryResult<{ valid: boolean }>[]
  const row = results[0]!.rows[0]
  if (!row) return "none"
  return row.valid ? "valid" : "invalid"
}

function indexOfStatement({ node }: Statement, place: { file: string; line: number }): Index | undefined {
  if ("IndexStmt" in node && node.IndexStmt.concurrent) {
    const { idxname, relation, if_not_exists: mayExist = false } = node.IndexStmt
    if (!idxname) {
      const why = "give the index a name, so that a half-made one can be found and made again"
      throw new TerminalError("MigrationFailed", `${at(place)}: ${why}`)
    }
    const table = qualified(relation?.schemaname, relation!.relname!)
    const found = `select i.indisvalid as valid from pg_index i join pg_class c on c.oid = i.indexrelid
      where i.indrelid = to_regclass(${literal(table)}) and c.relname = ${literal(idxname)}`
    return { makes: true, mayExist, name: qualified(relation?.schemaname, idxname), found }
  }
  if ("DropStmt" in node && node.DropStmt.removeType === "OBJECT_INDEX" && node.DropStmt.concurrent) {
    const [object] = node.DropStmt.objects ?? []
    const names = object && "List" in object ? (object.List.items ?? []) : []
    const words = names.map((item) => ("String" in item ? (item.String.sval ?? "") : ""))
    const name = words.map(quote).join(".")
    const found = `select indisvalid as valid from pg_index where indexrelid = to_regclass(${literal(name)})`
    return { makes: false, mayExist: true, name, found }
  }
  return undefined
}

const qualified = (schema: string | undefined, name: string) =>
  schema ? `${quote(schema)}.${quote(name)}` : quote(name)
