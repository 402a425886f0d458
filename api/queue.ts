/** Who waits for a connection, for a bounded time, and who of them is next. */
import type { Connection } from "./connections.ts"
import type { Departure } from "./departure.ts"
import type { Exchange } from "./exchanges.ts"
import { ClientGone } from "./failures.ts"
import type { Lane } from "./lanes.ts"

/** Thrown to the one who would have to wait too long or in too long a queue. */
export class PoolBusy extends Error {
  override readonly name = "PoolBusy"
}

export type Waiter = {
  lane: Lane
  /** By performance.now(). */
  since: number
  grant: (granted: Granted) => void
}
/** An idle connection, or a free place, in which a session is to begin. */
type Granted = { connection: Connection } | { place: Exchange }

type Which = (lane: Lane) => boolean

export type Queue = {
  size: () => number
  /** Waits in line. Throws PoolBusy when it takes too long, and ClientGone when `signal` aborts. */
  wait: (lane: Lane, signal: Departure | undefined) => Promise<Granted>
  /**
   * Of those whose tenant has no connection at all, and who come before all who want one more: the one with the greatest
   * product of how many requests of the tenant wait and for how long (RxW). A session that begins serves all of them, and
   * however few they are, in time they come first.
   */
  starving: (which?: Which) => Waiter | undefined
  /** How many such tenants wait, counted up to `limit`. */
  countStarving: (limit: number, which: Which) => number
  /** The longest waiting of those whose tenant may have one connection more. */
  growing: (which?: Which) => Waiter | undefined
}

export type QueueOptions = {
  /** How long one waits, in milliseconds. */
  patience: number
  /** Most places of one tenant. */
  maxPlaces: number
  onCome: () => void
  onLeave: (lane: Lane) => void
}

/** Nobody waits yet. */
export function createQueue({ patience, maxPlaces, onCome, onLeave }: QueueOptions): Queue {
  const waiters = new Set<Waiter>()

  function find(isIt: (waiter: Waiter) => boolean): Waiter | undefined {
    for (const waiter of waiters) if (isIt(waiter)) return waiter
    return undefined
  }

  return {
    size: () => waiters.size,

    wait: (lane, signal) =>
      new Promise((resolve, reject) => {
        const leave = () => {
          clearTimeout(timer)
          signal?.removeEventListener("abort", abort)
          waiters.delete(waiter)
          lane.waiting.delete(waiter)
          onLeave(lane)
        }
        const waiter: Waiter = {
          lane,
          since: performance.now(),
          grant(granted) {
            leave()
            resolve(granted)
          },
        }
        const abort = () => {
          leave()
          reject(new ClientGone("the client has gone away"))
        }
        const timer = setTimeout(() => {
          leave()
          reject(new PoolBusy(`nothing came free within ${patience} ms`))
        }, patience)
        signal?.addEventListener("abort", abort)
        waiters.add(waiter)
        lane.waiting.add(waiter)
        onCome()
      }),

    starving(which = all) {
      const now = performance.now()
      let found: Waiter | undefined
      let most = Number.NEGATIVE_INFINITY
      for (const waiter of waiters) {
        const { lane, since } = waiter
        if (lane.places > 0) continue
        const worth = requests(lane) * (now - since)
        if (worth <= most || !which(lane)) continue
        found = waiter
        most = worth
      }
      return found
    },

    countStarving(limit, which) {
      const lanes = new Set<Lane>()
      for (const { lane } of waiters) {
        if (lane.places === 0 && which(lane)) lanes.add(lane)
        if (lanes.size >= limit) break
      }
      return lanes.size
    },

    growing: (which = all) => find(({ lane }) => lane.places < maxPlaces && which(lane)),
  }
}

const all = () => true

/** How many of the tenant's wait; those who join one connection have one place in the queue. */
const requests = ({ waiting, joining }: Lane) => waiting.size + Math.max(0, (joining?.readers.size ?? 0) - 1)
