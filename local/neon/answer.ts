/** What a route answers, and how it refuses. */
import type { DatabaseRow } from "./catalogue.ts"
import type { Cell } from "./cell.ts"
import type { Control } from "./control.ts"
import type { Operations } from "./operations.ts"
import type { Outcome } from "./run-change.ts"

export type Answer = {
  status: number
  /** Sent as JSON; none for a 204. */
  body?: unknown
  headers?: Record<string, string>
  /** Sent as it is instead of `body`. */
  text?: { type: string; content: string }
}

/** One call, authenticated and routed. */
export type Call = {
  params: Readonly<Record<string, string>>
  query: URLSearchParams
  /** Parsed JSON; undefined when there was none. */
  body: unknown
  outcome: Outcome
  /** How many databases, or roles, the branch may hold for this call. */
  limit: number
}

/** One project. */
export type World = {
  cell: Cell
  /** All that the server serves, this one too. */
  projects: readonly Cell[]
  control: Control
  operations: Operations
  /** The databases as listed before the last change, for the stale list. */
  memory: { databasesBefore: DatabaseRow[] | undefined }
}

export type Handler = (call: Call, world: World) => Promise<Answer>

/** Thrown by a route to refuse the call with an HTTP status; `code` is often "" at Neon. */
export class Refusal extends Error {
  readonly status: number
  readonly code: string
  readonly headers: Record<string, string>

  constructor(status: number, message: string, code = "", headers: Record<string, string> = {}) {
    super(message)
    this.status = status
    this.code = code
    this.headers = headers
  }
}

/** Neon's own words, as clients compare them. */
export const LOCKED_MESSAGE =
  "project already has running conflicting operations, scheduling of new ones is prohibited"

export const ok = (body: unknown): Answer => ({ status: 200, body })

/** Throws a 404 unless the path names this project and, where it names a branch, its present branch. */
export function checkPath({ params }: Pick<Call, "params">, { cell }: Pick<World, "cell">): void {
  if (params["project_id"] !== undefined && params["project_id"] !== cell.projectId) {
    throw new Refusal(404, "project not found")
  }
  if (params["branch_id"] !== undefined && params["branch_id"] !== cell.branchId) {
    throw new Refusal(404, "branch not found")
  }
  if (params["endpoint_id"] !== undefined && params["endpoint_id"] !== cell.endpointId) {
    throw new Refusal(404, "endpoint not found")
  }
}

/** The object under `key` of a JSON body; throws a 400 when there is none. */
export function bodyObject(call: Call, key: string): Record<string, unknown> {
  const body: unknown = call.body
  const value = typeof body === "object" && body !== null ? (body as Record<string, unknown>)[key] : undefined
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Refusal(400, `request body must be JSON with an object "${key}"`)
  }
  return value as Record<string, unknown>
}

/** A name that Postgres can hold (1 to 63 bytes); throws a 400 otherwise. */
export function nameIn(value: unknown, field: string): string {
  if (typeof value !== "string" || value === "" || value.includes("\0") || Buffer.byteLength(value) > 63) {
    throw new Refusal(400, `${field} must be a string of 1 to 63 bytes`)
  }
  return value
}

/** A page size from the query; throws a 400 when it is no whole number from 1 to `most`. */
export function limitIn(query: URLSearchParams, otherwise: number, most: number): number {
  const given = query.get("limit")
  if (given === null) return otherwise
  const limit = Number(given)
  if (!Number.isInteger(limit) || limit < 1 || limit > most) {
    throw new Refusal(400, `limit must be a whole number from 1 to ${most}`)
  }
  return limit
}
