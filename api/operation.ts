/** One thing that the API does: what it takes, what it answers, and the work. Routes and OpenAPI come from it. */
import type { z } from "zod"
import type { Problem, ProblemKey } from "./problems.ts"
import type { Query } from "./transaction.ts"

/** What a request is answered. It is kept as JSON for those who send an Idempotency-Key twice. */
export type Answer = {
  status: 200 | 201 | 204
  body?: unknown
  /** With its quotation marks. */
  etag?: string
  /** A path below the tenant's. */
  location?: string
}

/** A Problem is returned where nothing was changed; one that is thrown ends the connection too. */
export type Outcome = Answer | Problem

export type Input<Id extends string, Q, B> = { ids: Record<Id, number>; query: Q; body: B }

type Method = "get" | "post" | "put" | "patch" | "delete"

/** What the routes and the OpenAPI document know of an operation. */
export type Described<Id extends string = string, Q = unknown, B = unknown> = {
  method: Method
  /** As OpenAPI writes it: /carts/{id}. */
  path: string
  /** OpenAPI's operationId. */
  name: string
  summary: string
  /** What a path's id that names nothing is answered with. */
  ids?: Record<Id, ProblemKey>
  query?: z.ZodType<Q>
  body?: z.ZodType<B>
  answer: { status: Answer["status"]; schema?: z.ZodType }
  /** The problems of its own, besides those that every request may meet. */
  problems?: ProblemKey[]
}

type Description<Id extends string, Q, B> = Described<Id, Q, B> & {
  /**
   * The ETag that the thing has now, for If-Match; it locks the thing, so that nobody else changes it meanwhile.
   * undefined where there is no such thing.
   */
  current?: (query: Query, ids: Record<NoInfer<Id>, number>) => Promise<string | undefined>
  /** Reads run on a connection; everything else runs in a transaction, again where that surely did not commit. */
  run: (query: Query, input: Input<Id, Q, B>) => Promise<Outcome>
}

export type Operation = Description<string, unknown, unknown>

/** An operation whose work is given what its schemas promise. */
export const operation = <Id extends string = never, Q = undefined, B = undefined>(
  description: Description<Id, Q, B>,
): Operation => description as unknown as Operation

export const isRead = ({ method }: Operation): boolean => method === "get"
