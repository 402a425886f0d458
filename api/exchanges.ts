/** How many sessions are being exchanged at each server: one tenant's ended, so that another tenant's can begin. */

export type Exchange = { end: () => void }
export type Exchanges = {
  mayBegin: (server: string) => boolean
  /** Counts one at `server` until its end, or until it takes too long. */
  begin: (server: string) => Exchange
}

/**
 * Beginning a session is mostly processor time of the server's. More of them at once end no sooner, and each keeps a place
 * in which nobody is served; while they take their turns, more requests gather for each.
 */
const AT_ONCE = 3
/** One that takes longer waits for something else, and nobody should wait for it; in milliseconds. */
const LONGEST = 500

/** `onLate` is called when one has taken too long, so that another one may begin. */
export function createExchanges(onLate: () => void): Exchanges {
  const counts = new Map<string, number>()

  return {
    mayBegin: (server) => (counts.get(server) ?? 0) < AT_ONCE,
    begin(server) {
      counts.set(server, (counts.get(server) ?? 0) + 1)
      let isOver = false
      const end = () => {
        if (isOver) return
        isOver = true
        clearTimeout(timer)
        const left = counts.get(server)! - 1
        if (left > 0) counts.set(server, left)
        else counts.delete(server)
      }
      const timer = setTimeout(() => {
        end()
        onLate()
      }, LONGEST).unref()
      return { end }
    },
  }
}
