/** Waiting for another reconciler of the fleet that is applying. */
import { setTimeout as sleep } from "node:timers/promises"
import { TransientError } from "./errors.ts"

/** How long a command waits for the lease, and between two tries; milliseconds. */
const PATIENCE = 120_000
const PAUSE = 1000

/**
 * Runs `task` until it gets the lease; whoever waits is told once. Throws what `task` throws,
 * LeaseHeld when it took too long, and Interrupted at `signal`.
 */
export async function patiently<T>(
  task: () => Promise<T>,
  { signal, say }: { signal?: AbortSignal; say: (line: string) => void },
): Promise<T> {
  const deadline = Date.now() + PATIENCE
  let isTold = false
  for (;;) {
    try {
      return await task()
    } catch (error) {
      const isHeld = error instanceof TransientError && error.reason === "LeaseHeld"
      if (!isHeld || Date.now() > deadline) throw error
      if (signal?.aborted)
        throw new TransientError("Interrupted", "stopped while another reconciler of this fleet was applying")
      if (!isTold) say("another reconciler of this fleet is applying; waiting for it")
      isTold = true
      await sleep(PAUSE, undefined, signal ? { signal } : {}).catch(() => {})
    }
  }
}
