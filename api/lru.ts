/** A map of bounded size that forgets what was not used for longest. */
export type Lru<K, V> = {
  /** Reading counts as use. */
  get: (key: K) => V | undefined
  set: (key: K, value: V) => void
  delete: (key: K) => void
  size: () => number
}

/** Holds at most `capacity` entries. A Map keeps the order of insertion, so its first key is the oldest. */
export function createLru<K, V>(capacity: number): Lru<K, V> {
  const entries = new Map<K, V>()
  return {
    get(key) {
      const value = entries.get(key)
      if (value === undefined) return undefined
      entries.delete(key)
      entries.set(key, value)
      return value
    },
    set(key, value) {
      entries.delete(key)
      entries.set(key, value)
      for (const oldest of entries.keys()) {
        if (entries.size <= capacity) break
        entries.delete(oldest)
      }
    },
    delete: (key) => void entries.delete(key),
    size: () => entries.size,
  }
}
