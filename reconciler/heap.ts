/** How V8 keeps the reconciler's heap. */
import { setFlagsFromString } from "node:v8"

/**
 * From now on the old generation is collected when it has grown by half since the last time. By itself V8 waits until it
 * is a multiple of what lives: what a pass reads outlives the young collections that it meets, and is garbage at the
 * pass's end, so that a large fleet's process held twice as much, for a twentieth less of the processor's time.
 */
export function collectEarly(): void {
  setFlagsFromString("--heap-growing-percent=50")
}
