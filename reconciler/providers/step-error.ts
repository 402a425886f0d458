/** What Postgres says of a step that fails, as an error of ours that names the file and the line. */
import { DatabaseError } from "pg"
import { TerminalError, TransientError } from "../errors.ts"
import { redact } from "../log.ts"

/** Where something stands in a file. */
export type Place = { file: string; line: number | undefined }

/** SQLSTATEs that say nothing of the step: connection, resources such as a full disk, operator's hand, rivals. */
const PASSING = /^(?:08|53|57|58|40|55006|55000|3D000|XX000)/

const ADVICE: Record<string, string> = {
  "25001": '; start the file with "-- tenantry: no-transaction"',
  "42501": "; the owner of the databases lacks the right",
}

export const at = ({ file, line }: Place): string => (line === undefined ? file : `${file}:${line}`)

/** Details and rows of the data are left out; Postgres's message is not. */
export function stepError(place: Place, error: unknown): TerminalError | TransientError {
  if (error instanceof TerminalError || error instanceof TransientError) return error
  const message = redact(error instanceof Error ? error.message : String(error))
  const code = error instanceof DatabaseError ? error.code : undefined
  const said = `${at(place)}: ${message}${code ? ` (${code})` : ""}`
  if (code === "55P03") {
    const waited = "; it gave up so that nobody queues behind it, and is tried again later"
    return new TransientError("MigrationLockTimeout", said + waited)
  }
  if (code === "57014" && !message.includes("user request")) {
    const remedy =
      "; split the step, raise migrations.statementTimeoutSeconds in fleet.yaml, or set statement_timeout in the step"
    return new TerminalError("MigrationTimeout", said + remedy)
  }
  if (!code || PASSING.test(code)) return new TransientError("MigrationInterrupted", said)
  return new TerminalError("MigrationFailed", `${said}${ADVICE[code] ?? ""}`)
}
