/** How fast, and how many at once. */
import { setTimeout as sleep } from "node:timers/promises"
import { Gauge } from "prom-client"

const depth = new Gauge({
  name: "tenantry_queue_depth",
  help: "Tasks that wait for their turn.",
  labelNames: ["queue"],
})

/**
 * A token bucket: resolves when the caller may go. Holds two seconds' worth of unused tokens. Who waits is shown in the
 * metrics as this `queue`.
 */
export function createTokenBucket(perSecond: number, queue: string): () => Promise<void> {
  let next = -Infinity
  depth.inc({ queue }, 0)
  return async () => {
    // Not the wall's clock, which is set back at times.
    const now = performance.now()
    next = Math.max(next, now - 2000) + 1000 / perSecond
    if (next <= now) return
    depth.inc({ queue })
    await sleep(next - now).finally(() => depth.dec({ queue }))
  }
}

/** Whether writes may go out: while `signal` is not aborted. Asked last before each of them, after all waiting. */
export type Permit = { signal: AbortSignal | undefined }

export type Semaphore = <T>(task: () => Promise<T>) => Promise<T>

/**
 * Runs at most `limit` tasks at once, in the order of their arrival; a failure is its own task's only. Who waits is
 * shown in the metrics as this `queue`.
 */
export function createSemaphore(limit: number, queue: string): Semaphore {
  let free = limit
  const waiting: (() => void)[] = []
  depth.inc({ queue }, 0)
  return async (task) => {
    if (free > 0) free--
    else {
      depth.inc({ queue })
      await new Promise<void>((resolve) => waiting.push(resolve))
      depth.dec({ queue })
    }
    try {
      return await task()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else free++
    }
  }
}
