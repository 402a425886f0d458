/**
 * The process's connections to all tenants' databases. Each takes one place of a budget that is never exceeded: a place
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
import { assertPresent, ClientGone } from "./failures.ts"
import { createFrequency } from "./frequency.ts"
import { countStarving, firstGrowing, firstStarving, type Lane, leastMissed, type Waiter } from "./lanes.ts"

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
  acquire: (tenant: TenantId, credential: ActiveCredential, signal?: AbortSignal) => Promise<Connection>
  /** Gives it back. One that is not `sound` is closed. */
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
  let evictions = 0
  /** A moving average, in milliseconds. */
  let connectTime = 0
  let isOver = false
  const allClosed = Promise.withResolvers<void>()
  const sweep = setInterval(closeUnused, Math.max(10, settings.idleTimeout / 2)).unref()

  function laneOf(tenant: TenantId, uri: string): Lane {
    let lane = lanes.get(tenant)
    if (!lane) {
      lane = { tenant, uri, idle: [], places: 0, waiting: new Set() }
      lanes.set(tenant, lane)
    }
    if (lane.uri !== uri) {
      lane.uri = uri
      for (const { connection } of lane.idle.splice(0)) close(lane, connection)
    }
    return lane
  }

  function takePlace(lane: Lane): void {
    places++
    lane.places++
  }

  function givePlace(lane: Lane): void {
    places--
    lane.places--
    if (lane.places === 0 && lane.waiting.size === 0) lanes.delete(lane.tenant)
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

  /** Waits in the queue for an idle connection, or for a free place (undefined). */
  function waitFor(lane: Lane, signal: AbortSignal | undefined): Promise<Connection | undefined> {
    if (lane.waiting.size >= settings.maxWaiting || queue.size >= settings.maxWaitingTotal) {
      throw new PoolBusy(`${queue.size} are waiting already`)
    }
    return new Promise((resolve, reject) => {
      const leave = () => {
        clearTimeout(timer)
        signal?.removeEventListener("abort", abort)
        queue.delete(waiter)
        lane.waiting.delete(waiter)
        if (lane.places === 0 && lane.waiting.size === 0) lanes.delete(lane.tenant)
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

  return {
    async acquire(tenant, credential, signal) {
      assertPresent(signal)
      if (isOver) throw new PoolBusy("the process is ending")
      frequency.count(tenant)
      const lane = laneOf(tenant, credential.uri)
      const idle = lane.waiting.size === 0 ? lane.idle.pop()?.connection : undefined
      const granted = idle ?? (await waitFor(lane, signal))
      if (granted && granted.uri === credential.uri && !granted.isBroken()) return granted
      // What was granted carries a place: of its own, or of the connection that it replaces.
      if (granted) {
        close(lane, granted)
        return this.acquire(tenant, credential, signal)
      }
      return connect(lane, credential)
    },

    release(tenant, connection, sound) {
      const lane = lanes.get(tenant)! // it has a place, so it is there
      if (!sound || isOver || connection.isBroken() || connection.uri !== lane.uri) {
        close(lane, connection)
        return
      }
      const starving = places >= budget ? firstStarving(queue) : undefined
      const turn = Math.max(SHORTEST_TURN, TURN * connectTime)
      const hasHadItsTurn =
        starving !== undefined && (lane.waiting.size === 0 || performance.now() - connection.openedAt > turn)
      if (hasHadItsTurn && closing < countStarving(queue, closing + 1)) {
        evictions++
        close(lane, connection)
        return
      }
      const [next] = lane.waiting
      if (next) next.grant(connection)
      else lane.idle.push({ connection, since: performance.now() })
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
