/**
 * The process's connections to all tenants' databases. One is used by a caller alone, or by several of the same tenant
 * who only read. Each takes one place of a budget that is never exceeded: a place
 * is free again only when the server has given up the session. Where all places are taken, the idle connection that is
 * missed least makes room; one in use never does. Who must wait does so in order, in a bounded queue, for a bounded time.
 */
import type { Logger } from "../reconciler/log.ts"
import type { TenantId } from "../reconciler/tenant.ts"
import {
  type ActiveCredential,
  type Connection,
  type ConnectionSettings,
  NotConnected,
  openConnection,
} from "./connections.ts"
import type { Departure } from "./departure.ts"
import { assertPresent, ClientGone } from "./failures.ts"
import { createFrequency } from "./frequency.ts"
import { countStarving, firstGrowing, firstStarving, type Lane, leastMissed, type Waiter } from "./lanes.ts"
import { createSharing } from "./sharing.ts"

export type PoolSettings = ConnectionSettings & {
  /** Most connections to one tenant's database, and to all of them. */
  maxConnections: number
  budget: number
  /** Most requests that wait, per tenant, and over all. */
  maxWaiting: number
  maxWaitingTotal: number
  /** How long one waits, in milliseconds. */
  wait: number
  /** How long an unused connection is kept, in milliseconds. */
  idleTimeout: number
}

/** Thrown to the one who would have to wait too long or in too long a queue. */
export class PoolBusy extends Error {
  override readonly name = "PoolBusy"
}

export type Pools = {
  /**
   * A connection for the caller alone, until `release`. Throws PoolBusy, NotConnected (nothing ran), or ClientGone when
   * `signal` aborts the wait.
   */
  acquire: (tenant: TenantId, credential: ActiveCredential, signal?: Departure) => Promise<Connection>
  /**
   * A connection for single statements that only read, until `release`; others of the same tenant use it at the same time.
   * Throws as `acquire` does.
   */
  share: (tenant: TenantId, credential: ActiveCredential, signal?: Departure) => Promise<Connection>
  /** Gives it back. One that is not `sound` is closed, after those who still read from it. */
  release: (tenant: TenantId, connection: Connection, sound: boolean) => void
  counts: () => { places: number; idle: number; waiting: number; tenants: number; evictions: number }
  /** Closes every connection as soon as nobody uses it. */
  close: () => Promise<void>
}

/**
 * While a tenant without any connection waits, those who have one keep it for a turn: long enough that making
 * connections stays the smaller part of the work. In milliseconds, and in times that making one takes.
 */
const SHORTEST_TURN = 20
const TURN = 3

/** No connection is made before one is asked for. */
export function createPools(settings: PoolSettings, log: Logger): Pools {
  const { budget, maxConnections } = settings
  const lanes = new Map<TenantId, Lane>()
  const queue = new Set<Waiter>()
  const frequency = createFrequency<TenantId>(Math.max(10_000, 16 * budget))
  let places = 0
  let closing = 0
  /** Connections that close after their last reader. */
  let leaving = 0
  let evictions = 0
  /** A moving average, in milliseconds. */
  let connectTime = 0
  let isOver = false
  const allClosed = Promise.withResolvers<void>()
  const sweep = setInterval(closeUnused, Math.max(10, settings.idleTimeout / 2)).unref()

  function laneOf(tenant: TenantId, uri: string): Lane {
    let lane = lanes.get(tenant)
    if (!lane) {
      lane = { tenant, uri, idle: [], places: 0, waiting: new Set(), shared: new Map(), pace: 0 }
      lanes.set(tenant, lane)
    }
    if (lane.uri !== uri) {
      lane.uri = uri
      for (const { connection } of lane.idle.splice(0)) close(lane, connection)
    }
    return lane
  }

  function forgetEmpty(lane: Lane): void {
    if (lane.places === 0 && lane.waiting.size === 0) lanes.delete(lane.tenant)
  }

  function takePlace(lane: Lane): void {
    places++
    lane.places++
  }

  function givePlace(lane: Lane): void {
    places--
    lane.places--
    forgetEmpty(lane)
    if (places === 0 && isOver) allClosed.resolve()
    serveFreePlaces()
  }

  function close(lane: Lane, connection: Connection): void {
    closing++
    void connection.close().finally(() => {
      closing--
      givePlace(lane)
    })
  }

  /** Lets those in who may have a new connection, the starving first. */
  function serveFreePlaces(): void {
    while (places < budget) {
      const next = firstStarving(queue) ?? firstGrowing(queue, maxConnections)
      if (!next) return
      takePlace(next.lane)
      next.grant(undefined)
    }
  }

  /** Starts closing an idle connection for somebody who waits, unless as many are closing as there are who wait. */
  function makeRoom(lane: Lane): void {
    if (places < budget || closing >= queue.size) return
    const isStarving = lane.places === 0
    const worth = isStarving ? Number.POSITIVE_INFINITY : frequency.of(lane.tenant) / (lane.places + 1)
    const victim = leastMissed(lanes.values(), frequency, worth)
    if (!victim) return
    evictions++
    close(victim, victim.idle.shift()!.connection)
  }

  function closeUnused(): void {
    const oldest = performance.now() - settings.idleTimeout
    for (const lane of lanes.values()) {
      while (lane.idle[0] && lane.idle[0].since <= oldest) close(lane, lane.idle.shift()!.connection)
    }
  }

  function assertRoom(lane: Lane): void {
    const ofTenant = lane.waiting.size + (lane.joining?.readers.size ?? 0)
    const ofAll = queue.size + sharing.joined()
    if (ofTenant < settings.maxWaiting && ofAll < settings.maxWaitingTotal) return
    forgetEmpty(lane)
    throw new PoolBusy(`${ofAll} are waiting already`)
  }

  /** Waits in the queue for an idle connection, or for a free place (undefined). */
  function waitFor(lane: Lane, signal: Departure | undefined): Promise<Connection | undefined> {
    assertRoom(lane)
    return new Promise((resolve, reject) => {
      const leave = () => {
        clearTimeout(timer)
        signal?.removeEventListener("abort", abort)
        queue.delete(waiter)
        lane.waiting.delete(waiter)
        forgetEmpty(lane)
      }
      const waiter: Waiter = {
        lane,
        grant(connection) {
          leave()
          resolve(connection)
        },
      }
      const abort = () => {
        leave()
        reject(new ClientGone("the client has gone away"))
      }
      const timer = setTimeout(() => {
        leave()
        reject(new PoolBusy(`nothing came free within ${settings.wait} ms`))
      }, settings.wait)
      signal?.addEventListener("abort", abort)
      queue.add(waiter)
      lane.waiting.add(waiter)
      serveFreePlaces()
      if (queue.has(waiter)) makeRoom(lane)
    })
  }

  /** Makes a connection in a place that is taken already. */
  async function connect(lane: Lane, credential: ActiveCredential): Promise<Connection> {
    try {
      const begun = performance.now()
      const connection = await openConnection(lane.tenant, credential, settings)
      connectTime += (connection.openedAt - begun - connectTime) / 8
      void connection.ended.then(() => forget(lane, connection))
      return connection
    } catch (error) {
      if (error instanceof NotConnected) void error.gone.finally(() => givePlace(lane))
      else givePlace(lane)
      throw error
    }
  }

  /** An idle session that the server has ended. */
  function forget(lane: Lane, connection: Connection): void {
    const index = lane.idle.findIndex((one) => one.connection === connection)
    if (index === -1) return
    lane.idle.splice(index, 1)
    log.debug({ tenant: lane.tenant }, "an idle database session was ended")
    close(lane, connection)
  }

  /** An idle connection of the tenant's that can be used; none while somebody waits for it. */
  function popIdle(lane: Lane, uri: string): Connection | undefined {
    if (lane.waiting.size > 0) return undefined
    for (let idle = lane.idle.pop(); idle; idle = lane.idle.pop()) {
      if (idle.connection.uri === uri && !idle.connection.isBroken()) return idle.connection
      close(lane, idle.connection)
    }
    return undefined
  }

  /** A connection that nobody else uses. */
  async function take(lane: Lane, credential: ActiveCredential, signal?: Departure): Promise<Connection> {
    for (;;) {
      assertPresent(signal)
      const granted = popIdle(lane, credential.uri) ?? (await waitFor(lane, signal))
      // What was granted carries a place: of its own, or of the connection that it is.
      if (!granted) return connect(lane, credential)
      if (granted.uri === credential.uri && !granted.isBroken()) return granted
      close(lane, granted)
    }
  }

  /** Gives a connection that nobody uses to the one who has waited for it longest. */
  function give(lane: Lane, connection: Connection): void {
    const [next] = lane.waiting
    if (isOver || connection.isBroken() || connection.uri !== lane.uri) close(lane, connection)
    else if (next) next.grant(connection)
    else lane.idle.push({ connection, since: performance.now() })
  }

  /** Whether it makes room, after its turn, for a tenant that waits without any connection. */
  function mustLeave(lane: Lane, connection: Connection, readers: number): boolean {
    const starving = places >= budget ? firstStarving(queue) : undefined
    if (!starving) return false
    const turn = Math.max(SHORTEST_TURN, TURN * connectTime)
    const isWanted = readers > 0 || lane.waiting.size > 0
    const hasHadItsTurn = !isWanted || performance.now() - connection.openedAt > turn
    return hasHadItsTurn && closing + leaving < countStarving(queue, closing + leaving + 1)
  }

  const sharing = createSharing({
    take,
    popIdle,
    give,
    assertRoom,
    mayGrow: (lane) => places < budget && lane.places < maxConnections && lane.waiting.size === 0,
  })

  function laneFor(tenant: TenantId, uri: string): Lane {
    if (isOver) throw new PoolBusy("the process is ending")
    frequency.count(tenant)
    return laneOf(tenant, uri)
  }

  return {
    acquire: async (tenant, credential, signal) => take(laneFor(tenant, credential.uri), credential, signal),
    share: async (tenant, credential, signal) =>
      sharing.share(laneFor(tenant, credential.uri), credential, signal),

    release(tenant, connection, sound) {
      const lane = lanes.get(tenant)! // it has a place, so it is there
      lane.pace = connection.pace()
      const company = lane.shared.get(connection) ?? { readers: 1, isLeaving: false }
      company.readers--
      const wasLeaving = company.isLeaving
      if (!wasLeaving && sound && mustLeave(lane, connection, company.readers)) {
        evictions++
        company.isLeaving = true
      }
      if (!sound) company.isLeaving = true
      if (company.readers > 0) {
        if (company.isLeaving && !wasLeaving) leaving++
        return
      }
      if (wasLeaving) leaving--
      lane.shared.delete(connection)
      if (company.isLeaving) close(lane, connection)
      else give(lane, connection)
    },

    counts: () => ({
      places,
      idle: [...lanes.values()].reduce((sum, lane) => sum + lane.idle.length, 0),
      waiting: queue.size,
      tenants: lanes.size,
      evictions,
    }),

    async close() {
      isOver = true
      clearInterval(sweep)
      for (const lane of lanes.values()) {
        for (const { connection } of lane.idle.splice(0)) close(lane, connection)
      }
      if (places > 0) await allClosed.promise
    },
  }
}
