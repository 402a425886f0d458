/** Idempotency-Key: a POST that is sent again with its key changes nothing, and is answered as before. */
import { createHash } from "node:crypto"
import type { Request } from "express"
import type { Answer, Outcome } from "./operation.ts"
import { Problem } from "./problems.ts"
import type { Statement } from "./prepared.ts"
import type { Query } from "./transaction.ts"

/** Whose key it is, and the request that it belongs to. */
export type IdempotentRequest = { caller: string; key: string; fingerprint: string }

const sql = (name: string, text: string): Statement => ({ name: `idempotency-${name}`, text })

/**
 * Keys are kept for a day. Each new one takes its own old one and up to 100 others with it, so they never pile up; both are
 * found by an index, however many there are.
 */
const FORGET = sql(
  "forget",
  `delete from idempotency_keys where ctid = any(
     array(select ctid from idempotency_keys where created_at < now() - interval '24 hours'
           order by created_at limit 100 for update skip locked)
     || array(select ctid from idempotency_keys where caller = $1 and key = $2
              and created_at < now() - interval '24 hours' for update skip locked))`,
)
/** Waits for another transaction that does the same work at this moment. */
const CLAIM = sql(
  "claim",
  `insert into idempotency_keys (caller, key, fingerprint) values ($1, $2, $3)
   on conflict do nothing returning true as claimed`,
)
const READ = sql("read", "select fingerprint, answer from idempotency_keys where caller = $1 and key = $2")
const KEEP = sql("keep", "update idempotency_keys set answer = $3 where caller = $1 and key = $2")
const DROP = sql("drop", "delete from idempotency_keys where caller = $1 and key = $2")

/** The header, and a digest of the request's address and body. Throws Problem where the key is none. */
export function readIdempotencyKey(
  request: Request,
  caller: string,
  body: unknown,
): IdempotentRequest | undefined {
  const [key, ...others] = request.headersDistinct["idempotency-key"] ?? []
  if (key === undefined) return undefined
  if (others.length > 0 || !/^[\x21-\x7e]{1,255}$/.test(key)) {
    throw new Problem(
      "request-malformed",
      "the header Idempotency-Key is sent once, with 1 to 255 visible ASCII characters",
    )
  }
  const fingerprint = createHash("sha256")
    .update(JSON.stringify([request.path, body]))
    .digest("base64url")
  return { caller, key, fingerprint }
}

/**
 * Does `work` once per key, in the transaction of `query`; the second time gives the first one's answer, and true. A
 * refusal is not kept: what was wrong may be mended meanwhile.
 */
export async function once(
  query: Query,
  { caller, key, fingerprint }: IdempotentRequest,
  work: () => Promise<Outcome>,
): Promise<[Outcome, isRepeated: boolean]> {
  await query(FORGET, [caller, key])
  const [claim] = await query(CLAIM, [caller, key, fingerprint])
  if (!claim) {
    const [held] = await query<{ fingerprint: string; answer: Answer }>(READ, [caller, key])
    if (held?.fingerprint === fingerprint) return [held.answer, true]
    return [
      new Problem("idempotency-key-reused", "this Idempotency-Key was sent with another request before"),
      false,
    ]
  }
  const outcome = await work()
  if (outcome instanceof Problem) await query(DROP, [caller, key])
  else await query(KEEP, [caller, key, JSON.stringify(outcome)])
  return [outcome, false]
}
