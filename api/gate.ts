/** Lets a bounded number in at once, and a bounded number wait, each for a bounded time. */

/** Thrown to the one who would have to wait too long or in too long a queue. */
export class GateFull extends Error {
  override readonly name = "GateFull"
}

export type Gate = {
  /** Resolves, in order of arrival, to what must be called once on leaving. Throws GateFull. */
  enter: (waitMs: number) => Promise<() => void>
  free: () => number
  waiting: () => number
}

/** `permits` may be inside; `maxWaiting` more may queue. */
export function createGate({ permits, maxWaiting }: { permits: number; maxWaiting: number }): Gate {
  let inside = 0
  const queue = new Set<() => void>()

  function pass(): () => void {
    inside++
    let left = false
    return () => {
      if (left) return
      left = true
      inside--
      const next = queue.values().next().value
      next?.()
    }
  }

  return {
    enter(waitMs) {
      if (inside < permits && queue.size === 0) return Promise.resolve(pass())
      if (queue.size >= maxWaiting) return Promise.reject(new GateFull(`${queue.size} are waiting already`))
      return new Promise((resolve, reject) => {
        const admit = () => {
          clearTimeout(timer)
          queue.delete(admit)
          resolve(pass())
        }
        const timer = setTimeout(() => {
          queue.delete(admit)
          reject(new GateFull(`nothing came free within ${waitMs} ms`))
        }, waitMs)
        queue.add(admit)
      })
    },
    free: () => Math.max(0, permits - inside),
    waiting: () => queue.size,
  }
}
