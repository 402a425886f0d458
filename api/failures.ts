/** Telling failures apart by what Postgres and the driver say of them. */
import type { Departure } from "./departure.ts"
import { Unanswered } from "./in-flight.ts"

/** Postgres's SQLSTATE, or the system's error code such as ECONNRESET. */
export function codeOf(error: unknown): string | undefined {
  const code = error instanceof Error && "code" in error ? error.code : undefined
  return typeof code === "string" ? code : undefined
}

/** Whether Postgres ends a session with this SQLSTATE: told to, idle for too long, or a transaction for too long. */
export const isDismissal = (code: string): boolean => /^(?:57P0|25P0[34])/.test(code)

const QUERY_CANCELED = "57014"
/** Whether a statement took too long, by the server's clock or by ours. */
export const isTimeout = (error: unknown): boolean =>
  codeOf(error) === QUERY_CANCELED || error instanceof Unanswered

/** Whether a table or a column that this API counts on is not there: the tenant's migrations are still to come. */
export const isSchemaBehind = (error: unknown): boolean => ["42P01", "42703"].includes(codeOf(error) ?? "")

/** Thrown to end the work of a request whose client has gone away: there is nobody to answer. */
export class ClientGone extends Error {
  override readonly name = "ClientGone"
}

/** Throws ClientGone where the client has gone. */
export function assertPresent(signal: Departure | undefined): void {
  if (signal?.aborted) throw new ClientGone("the client has gone away")
}

/** An error for the log. Postgres's details are left out: they quote rows. */
export const forLog = (error: unknown) =>
  error instanceof Error
    ? { type: error.name, message: error.message, code: codeOf(error), stack: error.stack }
    : { type: typeof error, message: String(error) }
