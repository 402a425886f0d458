/** How fast, and how many at once. */
import { setTimeout as sleep } from "node:timers/promises"

/** A token bucket: resolves when the caller may go. Holds two seconds' worth of unused tokens. */
export function createTokenBucket(perSecond: number): () => Promise<void> {
  let next = 0
  return async () => {
    const now = Date.now()
    next = Math.max(next, now - 2000) + 1000 / perSecond
    if (next > now) await sleep(next - now)
  }
}

export type Semaphore = <T>(task: () => Promise<T>) => Promise<T>

/** Runs at most `limit` tasks at once, in the order of their arrival; a failure is its own task's only. */
export function createSemaphore(limit: number): Semaphore {
  let free = limit
  const waiting: (() => void)[] = []
  return async (task) => {
    if (free > 0) free--
    else await new Promise<void>((resolve) => waiting.push(resolve))
    try {
      return await task()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else free++
    }
  }
}
