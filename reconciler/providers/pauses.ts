/** When to look at a change of Neon's that is under way. */

/** The pauses of one change. */
export type Pauses = {
  /** Milliseconds until the next look. */
  next: () => number
  /** The change was seen to be over. */
  over: () => void
}

/**
 * The next change takes about as long as the one before. So the first look at it comes after three quarters of that, two
 * more an eighth of that apart, and then less and less often, down to one in `longest` milliseconds.
 */
export function createPauses(longest: number): { begin: () => Pauses } {
  let usual = longest / 16

  const begin = (): Pauses => {
    let looks = 0
    let waited = 0
    return {
      next: () => {
        const pause = looks === 0 ? (3 / 4) * usual : (usual / 8) * 2 ** Math.max(0, looks - 2)
        looks++
        waited += Math.min(longest, pause)
        return Math.min(longest, pause)
      },
      over: () => {
        // What was over at the first look has taken less, and nobody knows how much.
        if (looks > 0) usual = Math.max(longest / 64, looks === 1 ? waited / 2 : waited)
      },
    }
  }
  return { begin }
}
