/** Whether the reconciler does its work: a pass has succeeded lately. */
import type { PassListener } from "./pass-listener.ts"

export type Readiness = Pick<PassListener, "ended"> & { isReady: () => boolean }

/** A pass may apply for ten minutes, and one that fails is followed by another soon. Milliseconds. */
const LATELY = 900_000

/**
 * Ready once a pass saw the whole world, for 15 minutes or three times `interval` (milliseconds), whichever is more. A
 * tenant whose change failed does not count: that is the tenant's condition.
 */
export function watchReadiness(interval: number, now: () => number): Readiness {
  let succeededAt = Number.NEGATIVE_INFINITY
  return {
    ended: ({ how }) => {
      if (how === "done" || how === "incomplete") succeededAt = now()
    },
    isReady: () => now() - succeededAt < Math.max(LATELY, 3 * interval),
  }
}
