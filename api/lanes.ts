/** What the pools know of each tenant, and the choices among its connections and among tenants'. No sockets here. */
import type { TenantId } from "../reconciler/tenant.ts"
import type { Connection } from "./connections.ts"
import type { Exchange } from "./exchanges.ts"
import type { Frequency } from "./frequency.ts"
import type { Waiter } from "./queue.ts"

/** A tenant's share of the process's connections. */
export type Lane = {
  tenant: TenantId
  /** The credential's connection string; connections with another one are not used again. */
  uri: string
  /** Where that leads: host and port. */
  server: string
  /** The one used last is at the end. */
  idle: { connection: Connection; since: number }[]
  /** Places taken: connections that are open, being made or being closed. */
  places: number
  waiting: Set<Waiter>
  /** A connection of somebody else's ends for it. */
  isPromised: boolean
  /** Connections on which several read at once. */
  shared: Map<Connection, Company>
  /** The next one of them. */
  joining?: Joining | undefined
  /** How long this tenant's statements take of late, in milliseconds. */
  pace: number
}

type Company = {
  readers: number
  /** Nobody joins any more: it closes after its last reader. */
  isLeaving: boolean
  /** To whom its place was promised then. */
  promised?: Promised | undefined
}

/** A place that another tenant's session leaves to `heir`. */
export type Promised = { heir: Lane; exchange: Exchange }

/** Who waits for a connection that is being opened for all of them; `abandoned` aborts when nobody does any more. */
export type Joining = { uri: string; readers: Set<Reader>; abandoned: AbortController }
export type Reader = { grant: (connection: Connection) => void; refuse: (error: unknown) => void }

/** How many read from one connection at most. */
const MOST_READERS = 32
/** A statement that takes longer keeps no company; in milliseconds. */
const SLOW = 100

/** Whether this tenant's statements take so long that nobody should wait behind one. */
export const isSlow = (lane: Lane): boolean => lane.pace > SLOW

/** The connection that one more may read from; undefined where each is full, leaving or stalled. */
export function leastRead(lane: Lane): [Connection, Company] | undefined {
  let found: [Connection, Company] | undefined
  for (const [connection, company] of lane.shared) {
    if (company.isLeaving || company.readers >= (found?.[1].readers ?? MOST_READERS)) continue
    if (connection.uri !== lane.uri || connection.isBroken() || connection.isStalled()) continue
    found = [connection, company]
  }
  return found
}

/**
 * The idle connection that is missed least: of the tenant with the fewest uses of late per connection. With `below`,
 * only one that is missed less than that.
 */
export function leastMissed(
  lanes: Iterable<Lane>,
  frequency: Frequency<TenantId>,
  below = Number.POSITIVE_INFINITY,
): Lane | undefined {
  let found: Lane | undefined
  let least = below
  for (const lane of lanes) {
    const [oldest] = lane.idle
    if (!oldest) continue
    const missed = frequency.of(lane.tenant) / lane.places
    const isOlder = found !== undefined && missed === least && oldest.since < found.idle[0]!.since
    if (missed < least || isOlder) {
      found = lane
      least = missed
    }
  }
  return found
}
