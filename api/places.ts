/**
 * The places of a budget that is never exceeded: one for each session, from before it begins until the server has given it
 * up. Says who gets a free one, keeps the connections that nobody uses, and decides which of them makes room.
 */
import type { TenantId } from "../reconciler/tenant.ts"
import type { Connection } from "./connections.ts"
import { createExchanges, expectSoon } from "./exchanges.ts"
import { createFrequency } from "./frequency.ts"
import { type Idle, keepIdle } from "./idle.ts"
import { type Lane, leastMissed, type Promised } from "./lanes.ts"
import { createQueue, type Queue } from "./queue.ts"
import type { Session } from "./sessions.ts"

export type PlacesSettings = {
  /** Most places of one tenant, and of all of them. */
  maxConnections: number
  budget: number
  /** How long one waits, in milliseconds. */
  wait: number
  /** How long an unused connection is kept, in milliseconds. */
  idleTimeout: number
}

/** A session that has begun before its tenant asked for one. */
type Unclaimed = {
  /** The session, where it leads to what `uri` names: it gets its password then, and the caller ends it. */
  give: (uri: string) => Session | undefined
  /** Resolves when the server has surely given it up. */
  end: () => Promise<void>
}

export type Places = {
  /** The lane of a tenant that is asked for now. */
  use: (tenant: TenantId, uri: string) => Lane
  /** The lane of a tenant that has a place. */
  of: (tenant: TenantId) => Lane
  forgetEmpty: (lane: Lane) => void
  /** Waits in line for an idle connection, or for a place in which a session is to begin. */
  wait: Queue["wait"]
  /** How many do. */
  waiting: Queue["size"]
  isFull: () => boolean
  /**
   * Takes a place for a session that begins, by `uri`, before its tenant asks for one; undefined where none is free or the
   * tenant has one. Unless it is claimed, whoever gets the result gives the place back by it.
   */
  reserve: (tenant: TenantId, uri: string, session: Unclaimed) => (() => void) | undefined
  /** The session that a place was reserved for, where it leads to `uri`; the place is like any other of the lane's then. */
  claim: (lane: Lane, uri: string) => Session | undefined
  /** The place is free. */
  free: (lane: Lane) => void
  /** Ends the session, and then its place is free, for whom it was promised to before all others. */
  close: (lane: Lane, connection: Connection, promised?: Promised) => void
  /** Keeps a connection that nobody uses, or lets it make room. */
  keep: Idle["keep"]
  popIdle: Idle["pop"]
  drop: Idle["drop"]
  /** Lets those in who may begin a session now. */
  serve: () => void
  /**
   * Promises a place to a tenant that waits without any connection, where no idle one can make room for it; undefined
   * where nobody is in such need. It is for `close`, soon.
   */
  promise: () => Promised | undefined
  counts: () => { places: number; idle: number; waiting: number; tenants: number; evictions: number }
  /** Ends every session as soon as nobody uses it. */
  end: () => Promise<void>
}

/**
 * Uses over which tenants are compared. In fewer of them chance decides between those that are about as much in use, and
 * more sessions are exchanged; a busy process has made so many in a minute, and where one is not busy an exchange costs little.
 */
const WINDOW = 100_000

/** No place is taken. */
export function createPlaces({ budget, maxConnections, wait, idleTimeout }: PlacesSettings): Places {
  const lanes = new Map<TenantId, Lane>()
  const frequency = createFrequency<TenantId>(WINDOW)
  const exchanges = createExchanges(serve)
  const queue = createQueue({
    patience: wait,
    maxPlaces: maxConnections,
    onCome: serve,
    onLeave: forgetEmpty,
  })
  /** Whose session has begun before they asked for it. */
  const reserved = new Map<Lane, Unclaimed>()
  let places = 0
  /** Sessions that end, for whoever comes first. */
  let closing = 0
  let evictions = 0
  let isOver = false
  const allClosed = Promise.withResolvers<void>()
  const idle = keepIdle({ lanes: () => lanes.values(), close, timeout: idleTimeout })

  function forgetEmpty(lane: Lane): void {
    if (lane.places === 0 && lane.waiting.size === 0) lanes.delete(lane.tenant)
  }

  /** A place is nobody's any more; `heir` may have it before all others. */
  function giveBack(heir?: Lane): void {
    places--
    if (places === 0 && isOver) allClosed.resolve()
    serve(heir)
  }

  function free(lane: Lane, heir?: Lane): void {
    lane.places--
    forgetEmpty(lane)
    giveBack(heir)
  }

  function reserve(tenant: TenantId, uri: string, unclaimed: Unclaimed): (() => void) | undefined {
    if (isOver || lanes.has(tenant) || places >= budget) return undefined
    const lane = newLane(tenant, uri)
    lanes.set(tenant, lane)
    places++
    lane.places++
    reserved.set(lane, unclaimed)
    return () => {
      if (reserved.delete(lane)) free(lane)
    }
  }

  function claim(lane: Lane, uri: string): Session | undefined {
    const unclaimed = reserved.get(lane)
    if (!unclaimed) return undefined
    const session = unclaimed.give(uri)
    if (session) reserved.delete(lane)
    else giveUp(lane)
    return session
  }

  /** Ends a session that nobody has claimed. Meanwhile its tenant has none, and waits like whoever has none. */
  function giveUp(lane: Lane, promised?: Promised): void {
    const { end } = reserved.get(lane)!
    reserved.delete(lane)
    lane.places--
    vacate(end, promised, giveBack)
  }

  function close(lane: Lane, connection: Connection, promised?: Promised): void {
    vacate(connection.close, promised, (heir) => free(lane, heir))
  }

  /** Ends a session by `end`, and then its place by `release`. */
  function vacate(
    end: () => Promise<void>,
    promised: Promised | undefined,
    release: (heir?: Lane) => void,
  ): void {
    if (!promised) closing++
    const exchange = promised?.exchange ?? expectSoon(() => closing--, serve)
    void end().finally(() => {
      exchange.end()
      release(promised?.heir)
    })
  }

  /** Lets those in who may begin a session: `heir` first, where it still has none, and then the starving. */
  function serve(heir?: Lane): void {
    let [next] = heir?.places === 0 ? heir.waiting : []
    for (; places < budget; next = undefined) {
      next ??= queue.starving() ?? queue.growing()
      if (!next) return
      places++
      next.lane.places++
      next.grant({ place: exchanges.begin(next.lane.server) })
    }
    makeRoom()
  }

  /** Whom nobody makes room for yet, and who may begin a session at once. */
  const isNext = (lane: Lane) => isUnpromised(lane) && exchanges.mayBegin(lane.server)

  /** For whom somebody shall make room now, and how much less than theirs a place must be missed. */
  function mostInNeed(): { lane: Lane; worth: number } | undefined {
    if (places < budget || queue.size() === 0) return undefined
    if (closing < queue.countStarving(closing + 1, isUnpromised)) {
      const starving = queue.starving(isNext)
      return starving && { lane: starving.lane, worth: Number.POSITIVE_INFINITY }
    }
    const growing = closing === 0 ? queue.growing(isNext) : undefined
    if (!growing) return undefined
    const { lane } = growing
    return { lane, worth: frequency.of(lane.tenant) / (lane.places + 1) }
  }

  /** Until the place is left to it, or that takes too long, nobody else makes room for `heir`. */
  function promiseTo(heir: Lane): Promised {
    evictions++
    heir.isPromised = true
    return { heir, exchange: exchanges.begin(heir.server, () => (heir.isPromised = false)) }
  }

  /** Ends idle sessions for those who wait, the one that is missed least first; then those that nobody has claimed. */
  function makeRoom(): void {
    for (let need = mostInNeed(); need; need = mostInNeed()) {
      const victim = leastMissed(lanes.values(), frequency, need.worth)
      const [unclaimed] = need.worth === Number.POSITIVE_INFINITY ? reserved.keys() : []
      if (victim) close(victim, victim.idle.shift()!.connection, promiseTo(need.lane))
      else if (unclaimed) {
        giveUp(unclaimed, promiseTo(need.lane))
        forgetEmpty(unclaimed)
      } else return
    }
  }

  return {
    use(tenant, uri) {
      frequency.count(tenant)
      let lane = lanes.get(tenant)
      if (!lane) {
        lane = newLane(tenant, uri)
        lanes.set(tenant, lane)
      }
      if (lane.uri !== uri) {
        lane.uri = uri
        lane.server = serverOf(uri)
        idle.empty(lane)
      }
      return lane
    },

    of: (tenant) => lanes.get(tenant)!,
    forgetEmpty,
    wait: queue.wait,
    waiting: queue.size,
    isFull: () => places >= budget,
    reserve,
    claim,
    free,
    close,

    keep(lane, connection) {
      idle.keep(lane, connection)
      makeRoom()
    },

    popIdle: idle.pop,
    drop: idle.drop,
    serve,

    promise() {
      const need = mostInNeed()
      if (!need || need.lane.places > 0 || leastMissed(lanes.values(), frequency)) return undefined
      return promiseTo(need.lane)
    },

    counts: () => ({
      places,
      idle: [...lanes.values()].reduce((sum, lane) => sum + lane.idle.length, 0),
      waiting: queue.size(),
      tenants: lanes.size,
      evictions,
    }),

    async end() {
      isOver = true
      idle.end()
      for (const lane of reserved.keys()) giveUp(lane)
      if (places > 0) await allClosed.promise
    },
  }
}

const isUnpromised = (lane: Lane) => !lane.isPromised

const newLane = (tenant: TenantId, uri: string): Lane => ({
  tenant,
  uri,
  server: serverOf(uri),
  idle: [],
  places: 0,
  waiting: new Set(),
  isPromised: false,
  shared: new Map(),
  pace: 0,
})

/** Host and port. */
const serverOf = (uri: string) => new URL(uri).host
