/** When to look at a change of Neon's that is under way. */
import { performance } from "node:perf_hooks"

/** The pauses of one change. */
type Pauses = {
  /** Milliseconds until the next look. */
  next: () => number
  /** The change was seen to be over. */
  over: () => void
}

/**
 * The next change takes about as long as the one before. So the first look at it comes after five eighths of that, two
 * more an eighth of that apart, and then less and less often, down to one in `longest` milliseconds. With later first looks
 * a change is waited for longer, with as many looks: what one takes varies.
 */
export function createPauses(longest: number): () => Pauses {
  let usual = longest / 16

  return () => {
    const begun = performance.now()
    let count = 0
    return {
      next: () => {
        const pause = count === 0 ? (5 / 8) * usual : (usual / 8) * 2 ** Math.max(0, count - 2)
        count++
        return Math.min(longest, pause)
      },
      over: () => {
        if (count === 0) return
        // What was over after the first pause has taken less, and nobody knows how much.
        const taken = (performance.now() - begun) / (count === 1 ? 2 : 1)
        usual = Math.max(longest / 64, taken)
      },
    }
  }
}
