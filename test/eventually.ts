import { setTimeout as sleep } from "node:timers/promises"

/** Longer than anything takes on a slow and busy machine; in milliseconds. */
const DEADLINE = 40_000

/**
 * Tries `probe` until it no longer throws, and returns what it found. Throws when that has not come in 40 s, with
 * what was seen last. `pause` between two tries is in milliseconds: longer for a probe that keeps busy those it waits for.
 */
export async function eventually<T>(
  description: string,
  probe: () => T | Promise<T>,
  pause = 20,
): Promise<T> {
  const deadline = performance.now() + DEADLINE
  for (;;) {
    try {
      return await probe()
    } catch (error) {
      if (performance.now() > deadline) {
        const last = error instanceof Error ? error.message : String(error)
        throw new Error(`not within ${DEADLINE / 1000} s: ${description}\nlast seen: ${last}`, {
          cause: error,
        })
      }
    }
    await sleep(pause)
  }
}
