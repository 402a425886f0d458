/** Telling failures apart by what Postgres and the driver say of them. */

/** Postgres's SQLSTATE, or the system's error code such as ECONNRESET. */
export function codeOf(error: unknown): string | undefined {
  const code = error instanceof Error && "code" in error ? error.code : undefined
  return typeof code === "string" ? code : undefined
}

const QUERY_CANCELED = "57014"
/** What pg 8.23 says when its query_timeout ends a wait; it gives that error no code. */
const READ_TIMEOUT = "Query read timeout"

/** Whether a statement took too long, by the server's clock or by ours. */
export const isTimeout = (error: unknown): boolean =>
  codeOf(error) === QUERY_CANCELED || (error instanceof Error && error.message === READ_TIMEOUT)

/** An error for the log. Postgres's details are left out: they quote rows. */
export const forLog = (error: unknown) =>
  error instanceof Error
    ? { type: error.name, message: error.message, code: codeOf(error), stack: error.stack }
    : { type: typeof error, message: String(error) }
