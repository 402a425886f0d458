/** What is under way on one connection, in the order in which the server does it. No sockets here. */

/** The statement waited too long behind somebody else's; it has not been answered, and may yet run. */
export class HeldUp extends Error {
  override readonly name = "HeldUp"
}

/** The server has not answered in time, not even to say that the statement took too long. */
export class Unanswered extends Error {
  override readonly name = "Unanswered"
}

export type Flight = {
  /** When the server began with it, by performance.now(), as far as can be told from here. */
  since: number
  giveUp: (error: HeldUp | Unanswered) => void
}

export type InFlight = {
  add: (giveUp: Flight["giveUp"]) => Flight
  end: (flight: Flight) => void
  has: (flight: Flight) => boolean
  /** The one that the server does now. */
  head: () => Flight | undefined
  size: () => number
  /** Whether the server is with one statement for longer than others should wait behind it. */
  isStalled: () => boolean
  /** Whether a statement went without an answer for longer than the limit. */
  isStuck: () => boolean
  /** How long a statement takes: a moving average, in milliseconds. */
  pace: () => number
  /** Nobody waits for an answer any more. */
  unwatch: () => void
}

/** How often all that is under way is looked at, in milliseconds. */
const INTERVAL = 100

const looks = new Set<() => void>()
let timer: NodeJS.Timeout | undefined

/** Answers that came while this process was busy are read before anybody is judged. */
const lookAtAll = () =>
  void setImmediate(() => {
    for (const look of looks) look()
  })

/**
 * Who is behind a statement that takes longer than `patience` is told to give up, and who is at a statement that takes
 * longer than `limit` too; both in milliseconds. One timer for all connections: nearly every statement is answered long
 * before, and a timer for each, as pg's query_timeout makes it, holds on to what its request holds.
 */
export function createInFlight(patience: number, limit: number): InFlight {
  // In their order.
  const flights: Flight[] = []
  let pace = 0
  let isStuck = false

  const head = () => flights[0]
  const isHeadOlderThan = (time: number) => flights.length > 0 && performance.now() - head()!.since > time
  const isStalled = () => isHeadOlderThan(patience)

  function look(): void {
    if (isHeadOlderThan(limit)) {
      isStuck = true
      head()!.giveUp(new Unanswered(`the server has not answered within ${limit} ms`))
    }
    if (isStalled()) {
      for (const flight of flights.slice(1)) flight.giveUp(new HeldUp("another statement takes too long"))
    }
  }

  looks.add(look)
  timer ??= setInterval(lookAtAll, INTERVAL).unref()

  return {
    add(giveUp) {
      const flight = { since: performance.now(), giveUp }
      flights.push(flight)
      return flight
    },
    end(flight) {
      const now = performance.now()
      pace += (now - flight.since - pace) / 8
      flights.splice(flights.indexOf(flight), 1)
      const next = head()
      if (next) next.since = now
    },
    has: (flight) => flights.includes(flight),
    head,
    size: () => flights.length,
    isStalled,
    isStuck: () => isStuck,
    pace: () => pace,
    unwatch() {
      looks.delete(look)
      if (looks.size > 0) return
      clearInterval(timer)
      timer = undefined
    },
  }
}
