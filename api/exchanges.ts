/** Sessions that are about to end or to begin, each counted for as long as it is worth waiting for. */

export type Exchange = { end: () => void }
export type Exchanges = {
  mayBegin: (server: string) => boolean
  /** Counts one at `server` until its end, or until it takes too long; then `onEnd` is called, once. */
  begin: (server: string, onEnd?: () => void) => Exchange
}

/**
 * Beginning a session is mostly processor time of the server's. More of them at once end no sooner, and each keeps a place
 * in which nobody is served; while they take their turns, more requests gather for each.
 */
const AT_ONCE = 3
/** One that takes longer waits for something else, and nobody should wait for it; in milliseconds. */
const LONGEST = 500

/** Calls `onEnd` once: when it is ended, or when it has taken too long, and `onLate` then too. */
export function expectSoon(onEnd: () => void, onLate: () => void): Exchange {
  let isOver = false
  const end = () => {
    if (isOver) return
    isOver = true
    clearTimeout(timer)
    onEnd()
  }
  const timer = setTimeout(() => {
    end()
    onLate()
  }, LONGEST).unref()
  return { end }
}

/** `onLate` is called when one has taken too long, so that another one may begin. */
export function createExchanges(onLate: () => void): Exchanges {
  const counts = new Map<string, number>()

  return {
    mayBegin: (server) => (counts.get(server) ?? 0) < AT_ONCE,
    begin(server, onEnd) {
      counts.set(server, (counts.get(server) ?? 0) + 1)
      return expectSoon(() => {
        const left = counts.get(server)! - 1
        if (left > 0) counts.set(server, left)
        else counts.delete(server)
        onEnd?.()
      }, onLate)
    },
  }
}
