/** How fast each of many may go: token buckets in bounded memory. */
import { LRUCache } from "lru-cache"
import { Problem } from "./problems.ts"

/** Throws the Problem that says when to try again. */
export type RateLimit = (key: string) => void

/** How many seconds' requests may come at once. */
const BURST_SECONDS = 2

type Bucket = { tokens: number; at: number }

/**
 * `perSecond` requests of each key, twice as many at once; 0 is without a limit. The keys that were not seen for longest
 * are forgotten, which is to their advantage.
 */
export function limitRate(
  what: string,
  perSecond: number,
  { now, capacity }: { now: () => number; capacity: number },
): RateLimit {
  if (perSecond === 0) return () => {}
  const burst = BURST_SECONDS * perSecond
  const limit = { name: what, quota: burst, window: BURST_SECONDS }
  const buckets = new LRUCache<string, Bucket>({ max: capacity })
  return (key) => {
    const at = now()
    let held = buckets.get(key)
    if (!held) buckets.set(key, (held = { tokens: burst, at }))
    held.tokens = Math.min(burst, held.tokens + ((at - held.at) / 1000) * perSecond)
    held.at = at
    if (held.tokens < 1) {
      const wait = Math.ceil((1 - held.tokens) / perSecond)
      throw new Problem("rate-exceeded", `more than ${perSecond} requests a second of one ${what}`, {
        retryAfter: wait,
        limit,
      })
    }
    held.tokens--
  }
}
