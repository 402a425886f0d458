/** A statement with a name: the server parses and describes it once per connection, and from then on only runs it. */
import { type Connection, Query, types } from "pg"

/** Names are unique over the whole API. */
export type Statement = { name: string; text: string }
export type Value = string | number | null | undefined

/** The columns of a statement's rows: what they are called, and how their text is read. */
export type Columns = { names: string[]; readers: ((text: string) => unknown)[] }

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
const PgQuery = Query as unknown as new (statement: Statement) => Statement & {
  callback: ((error: Error | null) => void) | undefined
}

const NUMBERS = new Set<number>([types.builtins.INT8, types.builtins.NUMERIC])

/**
 * int8 and numeric become numbers. Identity values stay below 2^53. Money is numeric(12,2): at most 12 digits, and
 * a double keeps 15, so its shortest decimal form is the very one that is stored. The same holds for sums below 10^13.
 */
const readerOf = ({ dataTypeID }: Field): ((text: string) => unknown) =>
  NUMBERS.has(dataTypeID) ? Number : (types.getTypeParser(dataTypeID, "text") as (text: string) => unknown)

const toText = (value: Value): string | null => (value === null || value === undefined ? null : String(value))

/**
 * One run of a statement. pg's own Query has the rows described with every run, which the server writes and this process
 * reads each time: a tenth of a request. `described` are the statements of this connection whose columns are known;
 * they cannot change under a prepared statement: then the server refuses to run it (0A000).
 */
export class Run extends PgQuery {
  private readonly given: readonly Value[]
  private readonly described: Map<string, Columns>
  private columns: Columns | undefined
  private readonly found: (string | null)[][] = []

  constructor(statement: Statement, given: readonly Value[], described: Map<string, Columns>) {
    super(statement)
    this.given = given
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
    wire.bind({ statement: name, values: this.given.map(toText) })
    this.columns = this.described.get(name)
    if (!this.columns) wire.describe({ type: "P", name: "" })
    wire.execute()
    wire.sync()
    return null
  }

  handleRowDescription({ fields }: { fields: Field[] }): void {
    this.columns = { names: fields.map((field) => field.name), readers: fields.map(readerOf) }
    this.described.set(this.name, this.columns)
  }

  handleDataRow({ fields }: { fields: (string | null)[] }): void {
    this.found.push(fields)
  }

  handleCommandComplete(): void {}

  handleReadyForQuery(): void {
    this.callback?.(null)
  }

  /** The rows, once the run is over. */
  read<Row>(): Row[] {
    const { names, readers } = this.columns ?? { names: [], readers: [] }
    return this.found.map((fields) => {
      const row: Record<string, unknown> = {}
      for (let n = 0; n < names.length; n++) {
        const text = fields[n]!
        row[names[n]!] = text === null ? null : readers[n]!(text)
      }
      return row as Row
    })
  }
}
