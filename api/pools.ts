/**
 * The process's connections to all tenants' databases. One is used by a caller alone, or by several of the same tenant
 * who only read. Where all places are taken, the idle connection that is missed least makes room; one in use never does.
 * Who must wait does so in a bounded queue, for a bounded time.
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
import type { Exchange } from "./exchanges.ts"
import { assertPresent } from "./failures.ts"
import type { Lane, Promised } from "./lanes.ts"
import { createPlaces, type Places, type PlacesSettings } from "./places.ts"
import { PoolBusy } from "./queue.ts"
import type { Session } from "./sessions.ts"
import { createSharing } from "./sharing.ts"

export type PoolSettings = ConnectionSettings &
  PlacesSettings & {
    /** Most requests that wait, per tenant, and over all. */
    maxWaiting: number
    maxWaitingTotal: number
    /** Told where a tenant was found, see head-start.ts. */
    learn?: (tenant: TenantId, uri: string) => void
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
  /** A place for a session that begins before its tenant asks for one, see places.ts. */
  reserve: Places["reserve"]
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

/** What a connection is made of: a session that has begun, or a turn to begin one. */
type Start = { place?: Exchange; session?: Session }

/** No connection is made before one is asked for. */
export function createPools(settings: PoolSettings, log: Logger): Pools {
  const places = createPlaces(settings)
  /** A moving average, in milliseconds. */
  let connectTime = 0
  let isOver = false

  function assertRoom(lane: Lane): void {
    const ofTenant = lane.waiting.size + (lane.joining?.readers.size ?? 0)
    const ofAll = places.waiting() + sharing.joined()
    if (ofTenant < settings.maxWaiting && ofAll < settings.maxWaitingTotal) return
    places.forgetEmpty(lane)
    throw new PoolBusy(`${ofAll} are waiting already`)
  }

  /** Makes a connection in a place that is taken already. */
  async function connect(
    lane: Lane,
    credential: ActiveCredential,
    { place, session }: Start,
  ): Promise<Connection> {
    try {
      const begun = performance.now()
      const connection = await openConnection(lane.tenant, credential, settings, session)
      settings.learn?.(lane.tenant, credential.uri)
      connectTime += (connection.openedAt - begun - connectTime) / 8
      void connection.ended.then(() => forget(lane, connection))
      return connection
    } catch (error) {
      if (error instanceof NotConnected) void error.gone.finally(() => places.free(lane))
      else places.free(lane)
      throw error
    } finally {
      place?.end()
      places.serve()
    }
  }

  /** An idle session that the server has ended. */
  function forget(lane: Lane, connection: Connection): void {
    if (places.drop(lane, connection))
      log.debug({ tenant: lane.tenant }, "an idle database session was ended")
  }

  /** A connection that nobody else uses. */
  async function take(lane: Lane, credential: ActiveCredential, signal?: Departure): Promise<Connection> {
    for (;;) {
      assertPresent(signal)
      const idle = places.popIdle(lane, credential.uri)
      if (idle) return idle
      const session = places.claim(lane, credential.uri)
      if (session) return connect(lane, credential, { session })
      assertRoom(lane)
      const granted = await places.wait(lane, signal)
      if ("place" in granted) return connect(lane, credential, granted)
      const { connection } = granted
      if (connection.uri === credential.uri && !connection.isBroken()) return connection
      places.close(lane, connection)
    }
  }

  /** Gives a connection that nobody uses to the one who has waited for it longest. */
  function give(lane: Lane, connection: Connection): void {
    const [next] = lane.waiting
    if (isOver || connection.isBroken() || connection.uri !== lane.uri) places.close(lane, connection)
    else if (next) next.grant({ connection })
    else places.keep(lane, connection)
  }

  /** To whom one that is still wanted must leave its place after its turn: a tenant that waits without any. */
  function heirOf(lane: Lane, connection: Connection, readers: number): Promised | undefined {
    const isWanted = readers > 0 || lane.waiting.size > 0
    const turn = Math.max(SHORTEST_TURN, TURN * connectTime)
    const hasHadItsTurn = performance.now() - connection.openedAt > turn
    return isWanted && hasHadItsTurn ? places.promise() : undefined
  }

  const sharing = createSharing({
    take,
    popIdle: places.popIdle,
    give,
    assertRoom,
    mayGrow: (lane) => !places.isFull() && lane.places < settings.maxConnections && lane.waiting.size === 0,
  })

  function laneFor(tenant: TenantId, uri: string, signal: Departure | undefined): Lane {
    if (isOver) throw new PoolBusy("the process is ending")
    assertPresent(signal)
    return places.use(tenant, uri)
  }

  return {
    acquire: async (tenant, credential, signal) =>
      take(laneFor(tenant, credential.uri, signal), credential, signal),
    share: async (tenant, credential, signal) =>
      sharing.share(laneFor(tenant, credential.uri, signal), credential, signal),

    release(tenant, connection, sound) {
      const lane = places.of(tenant)
      lane.pace = connection.pace()
      const company = lane.shared.get(connection) ?? { readers: 1, isLeaving: false }
      company.readers--
      if (sound && !company.isLeaving) company.promised = heirOf(lane, connection, company.readers)
      if (!sound || company.promised) company.isLeaving = true
      if (company.readers > 0) return
      lane.shared.delete(connection)
      if (company.isLeaving) places.close(lane, connection, company.promised)
      else give(lane, connection)
    },

    reserve: places.reserve,
    counts: places.counts,

    async close() {
      isOver = true
      await places.end()
    },
  }
}
