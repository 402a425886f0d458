/** From a request to an operation's work in the tenant's database, and from its outcome to the answer. */
import type { Request, RequestHandler, Response } from "express"
import type { TenantDatabase } from "./databases.ts"
import { changedMeanwhile, matches, readTags } from "./etag.ts"
import { once, readIdempotencyKey } from "./idempotency.ts"
import { readBody, readId, readQuery } from "./input.ts"
import { type Answer, isRead, type Operation, type Outcome } from "./operation.ts"
import { Problem } from "./problems.ts"
import type { Query } from "./transaction.ts"

/** Who asks, of which tenant: settled before anything of the request's content is looked at. */
type Admission = {
  database: TenantDatabase
  /** What is told apart among a tenant's callers; "" where nobody is. */
  caller: string
  /** What stands before the operation's path in the address: "" or /t/<name>. */
  prefix: string
}

/** Throws the Problem that says why this request is not served. */
export type Admit = (request: Request, response: Response) => Promise<Admission>

/** The handler of a route. */
export const perform =
  (operation: Operation, admit: Admit): RequestHandler =>
  async (request, response) => {
    const { database, caller, prefix } = await admit(request, response)
    const ids = Object.fromEntries(
      Object.entries(operation.ids ?? {}).map(([name, absent]) => [name, readId(request, name, absent)]),
    )
    const query = operation.query && readQuery(request, operation.query)
    const body = operation.body && (await readBody(request, response, operation.body))
    const work = (sql: Query) => operation.run(sql, { ids, query, body })
    if (isRead(operation)) {
      const seen = readTags(request, "if-none-match")
      const answer = granted(await database.read(work))
      if (seen && answer.etag && matches(seen, answer.etag))
        response.set("ETag", answer.etag).status(304).end()
      else send(response, answer, prefix)
      return
    }
    const expected = operation.current && readTags(request, "if-match")
    const repetition = operation.method === "post" ? readIdempotencyKey(request, caller, body) : undefined
    const change = async (sql: Query): Promise<Outcome> => {
      if (expected) {
        const etag = await operation.current!(sql, ids)
        if (etag !== undefined && !matches(expected, etag)) return changedMeanwhile(etag)
      }
      return work(sql)
    }
    const [outcome, isRepeated] = await database.write((sql) =>
      repetition ? once(sql, repetition, () => change(sql)) : unrepeated(change(sql)),
    )
    const answer = granted(outcome)
    if (isRepeated) response.set("Idempotency-Replayed", "true")
    send(response, answer, prefix)
  }

const unrepeated = async (outcome: Promise<Outcome>): Promise<[Outcome, boolean]> => [await outcome, false]

function granted(outcome: Outcome): Answer {
  if (outcome instanceof Problem) throw outcome
  return outcome
}

function send(response: Response, { status, body, etag, location }: Answer, prefix: string): void {
  if (location !== undefined) response.location(prefix + location)
  const headers = etag === undefined ? [] : ["ETag", etag]
  if (body === undefined) {
    response.writeHead(status, headers).end()
    return
  }
  const text = JSON.stringify(body)
  headers.push("Content-Type", "application/json; charset=utf-8")
  headers.push("Content-Length", String(Buffer.byteLength(text)))
  response.writeHead(status, headers).end(text)
}
