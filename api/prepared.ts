/** A statement with a name: the server parses and describes it once per connection, and from then on only runs it. */
import { type Connection, Query, types } from "pg"

/** Names are unique over the whole API, and not empty: what has no name is not prepared. */
export type Statement = { name: string; text: string }
export type Value = string | number | null | undefined

/** The columns of a statement's rows: what they are called, and how their text is read. */
export type Columns = { names: string[]; readers: ((text: string) => unknown)[] }

/** The rows are not those that the server described. */
class StaleColumns extends Error {
  override readonly name = "StaleColumns"
}

/** What pg has and does not declare: lib/connection.js, which writes the messages, and lib/query.js, which hears of the answers. */
type Wire = {
  parsedStatements: Record<string, string>
  submittedNamedStatements: Record<string, string>
  parse: (message: Statement) => void
  bind: (message: { statement: string; values: (string | null)[] }) => void
  describe: (message: { type: "P"; name: string }) => void
  execute: () => void
  sync: () => void
}
type Field = { name: string; dataTypeID: number }

const { INT2, INT4, INT8, NUMERIC } = types.builtins
const NUMBERS = new Set<number>([INT2, INT4, INT8, NUMERIC])

function toNumber(text: string): number {
  const number = Number(text)
  if (Number.isNaN(number)) throw new StaleColumns("a column that was one of numbers is no more")
  return number
}

/**
 * Whole numbers and numeric become numbers. Identity values stay below 2^53. Money is numeric(12,2): at most 12 digits, and
 * a double keeps 15, so its shortest decimal form is the very one that is stored. The same holds for sums below 10^13.
 */
const readerOf = ({ dataTypeID }: Field): ((text: string) => unknown) =>
  NUMBERS.has(dataTypeID) ? toNumber : (types.getTypeParser(dataTypeID, "text") as (text: string) => unknown)

/** By what the server says of them. All connections share them: a fleet of tenants has the same few. */
const allColumns = new Map<string, Columns>()

function columnsOf(fields: readonly Field[]): Columns {
  const key = JSON.stringify(fields.map(({ name, dataTypeID }) => [name, dataTypeID]))
  const known = allColumns.get(key)
  if (known) return known
  const columns = { names: fields.map(({ name }) => name), readers: fields.map(readerOf) }
  allColumns.set(key, columns)
  return columns
}

const toText = (value: Value): string | null => (value === null || value === undefined ? null : String(value))

/**
 * One run of a statement, for pg to write and to hear of. pg's own Query has the rows described with every run, which the
 * server writes and this process reads each time: a tenth of a request. `described` are the statements of this connection
 * whose columns are known. They cannot change in a session: then the server refuses to run what it has prepared (0A000).
 * A pooler may lend another session, where the same text may have columns of other types: then `read` throws, and the
 * connection is closed like any on which something went wrong. The statements name each column, so their order is theirs.
 */
export class Run {
  readonly name: string
  readonly text: string
  /** Told when it is over, and with what error. */
  callback: ((error: Error | null) => void) | undefined
  private readonly values: (string | null)[]
  private readonly described: Map<string, Columns>
  private columns: Columns | undefined
  private readonly found: (string | null)[][] = []

  constructor(statement: Statement, values: readonly Value[], described: Map<string, Columns>) {
    this.name = statement.name
    this.text = statement.text
    this.values = values.map(toText)
    this.described = described
  }

  /**
   * Writes what the server must do, as far as it has not done it already; pg calls it, and those below with the answers.
   * Returns the error where another statement has the name.
   */
  submit(connection: Connection): Error | null {
    const wire = connection as unknown as Wire
    const { name, text } = this
    const known = wire.parsedStatements[name] ?? wire.submittedNamedStatements[name]
    if (known !== undefined && known !== text) return new Error(`two statements are named ${name}`)
    if (known === undefined) {
      wire.parse({ name, text })
      wire.submittedNamedStatements[name] = text
    }
    wire.bind({ statement: name, values: this.values })
    this.columns = this.described.get(name)
    if (!this.columns) wire.describe({ type: "P", name: "" })
    wire.execute()
    wire.sync()
    return null
  }

  handleRowDescription({ fields }: { fields: Field[] }): void {
    this.columns = columnsOf(fields)
    this.described.set(this.name, this.columns)
  }

  handleDataRow({ fields }: { fields: (string | null)[] }): void {
    this.found.push(fields)
  }

  handleCommandComplete(): void {}

  handleError(error: Error): void {
    this.callback?.(error)
  }

  handleReadyForQuery(): void {
    this.callback?.(null)
  }

  /** The rows, once the run is over. Throws StaleColumns. */
  read<Row>(): Row[] {
    const { names, readers } = this.columns ?? { names: [], readers: [] }
    return this.found.map((fields) => {
      if (fields.length !== names.length) throw new StaleColumns(`a row has ${fields.length} columns`)
      const row: Record<string, unknown> = {}
      for (let n = 0; n < names.length; n++) {
        const text = fields[n]!
        row[names[n]!] = text === null ? null : readers[n]!(text)
      }
      return row as Row
    })
  }
}

// On a pipelined connection pg takes nothing but a Query, and to set up a whole one takes 1.4 µs a run.
Object.setPrototypeOf(Run.prototype, Query.prototype)
