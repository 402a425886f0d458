/** How often each key was used of late, in bounded memory: what a cache asks before it throws something out. */
export type Frequency<K> = {
  count: (key: K) => void
  of: (key: K) => number
  /** How many keys are remembered. */
  size: () => number
}

/**
 * Counts uses, and halves every count after each `window` uses, so that the past fades and a key that was used once
 * is forgotten. At most `window` keys are remembered.
 */
export function createFrequency<K>(window: number): Frequency<K> {
  const counts = new Map<K, number>()
  let uses = 0

  function fade(): void {
    uses = 0
    for (const [key, count] of counts) {
      if (count < 2) counts.delete(key)
      else counts.set(key, Math.floor(count / 2))
    }
  }

  return {
    count(key) {
      if (++uses >= window / 2) fade()
      counts.set(key, (counts.get(key) ?? 0) + 1)
    },
    of: (key) => counts.get(key) ?? 0,
    size: () => counts.size,
  }
}
