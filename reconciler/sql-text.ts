/** SQL as text, read by Postgres's own grammar: where statements begin, and on which line something stands. */
import { hasSqlDetails, loadModule, type Node, parseSync, scanSync } from "libpg-query"

/** `start`: index in the text that was parsed, past any comment before the statement. */
export type Statement = { text: string; start: number; node: Node }

/** The text is no SQL. `index`: where in the text; the message is Postgres's. */
export class SqlSyntaxError extends Error {
  override readonly name = "SqlSyntaxError"
  readonly index: number
  constructor(message: string, index: number) {
    super(message)
    this.index = index
  }
}

/** The statements of `sql`, in order. Throws SqlSyntaxError. */
export async function parseStatements(sql: string): Promise<Statement[]> {
  await loadModule()
  if (sql.trim() === "") return []
  const bytes = Buffer.from(sql)
  const length = (from: number, to: number) => bytes.toString("utf8", from, to).length
  let stmts
  try {
    stmts = parseSync(sql).stmts ?? []
  } catch (error) {
    if (!hasSqlDetails(error)) throw error
    const { message, cursorPosition } = error.sqlDetails!
    throw new SqlSyntaxError(message, indexOf(sql, cursorPosition + 1))
  }
  let start = 0
  let seen = 0
  return stmts.map(({ stmt, stmt_location: from = 0, stmt_len: size = bytes.length - from }) => {
    const raw = bytes.toString("utf8", from, from + size)
    const skipped = leadingComments(raw)
    start += length(seen, from)
    seen = from
    return { text: raw.slice(skipped), start: start + skipped, node: stmt! }
  })
}

function leadingComments(text: string): number {
  const first = scanSync(text).tokens.find(({ tokenName }) => !/^(?:SQL|C)_COMMENT$/.test(tokenName))
  return Buffer.from(text).toString("utf8", 0, first?.start ?? 0).length
}

/** The index of a character that Postgres names by its number: it counts from 1, and in code points. */
export const indexOf = (text: string, position: number): number =>
  Array.from(text)
    .slice(0, position - 1)
    .join("").length

/** The line, counted from 1, of the character at `index`. */
export const lineAt = (text: string, index: number): number => text.slice(0, index).split("\n").length
