/** Several readers on one connection of their tenant's: who joins which one, and when another one is opened. */
import { type ActiveCredential, type Connection } from "./connections.ts"
import type { Departure } from "./departure.ts"
import { ClientGone } from "./failures.ts"
import { isSlow, type Joining, type Lane, leastRead, type Reader } from "./lanes.ts"

export type SharingOptions = {
  /** A connection for one alone, from the idle ones, a free place, or the queue. */
  take: (lane: Lane, credential: ActiveCredential, signal?: Departure) => Promise<Connection>
  popIdle: (lane: Lane, uri: string) => Connection | undefined
  /** For a connection that nobody uses. */
  give: (lane: Lane, connection: Connection) => void
  /** Whether the tenant may have one connection more, and nobody has to make room for it. */
  mayGrow: (lane: Lane) => boolean
  /** Throws PoolBusy where too many wait. */
  assertRoom: (lane: Lane) => void
}

export type Sharing = {
  share: (lane: Lane, credential: ActiveCredential, signal?: Departure) => Promise<Connection>
  /** How many wait for a connection that is being opened for them. */
  joined: () => number
}

/** Readers of one connection above which the tenant gets another one, as long as there are free places. */
const CROWD = 8

/** No connection is taken before somebody wants to read. */
export function createSharing({ take, popIdle, give, mayGrow, assertRoom }: SharingOptions): Sharing {
  let joined = 0

  /** Takes a connection for those who join until it is there, and gives up when all of them have left. */
  function open(lane: Lane, credential: ActiveCredential): Joining {
    const { uri } = credential
    const joining: Joining = { uri, readers: new Set(), abandoned: new AbortController() }
    lane.joining = joining
    void fill(lane, joining, take(lane, credential, joining.abandoned.signal))
    return joining
  }

  async function fill(lane: Lane, joining: Joining, taken: Promise<Connection>): Promise<void> {
    let tell: (reader: Reader) => void
    try {
      const connection = await taken
      const readers = joining.readers.size
      if (readers > 0) lane.shared.set(connection, { readers, isLeaving: false })
      else give(lane, connection)
      tell = (reader) => reader.grant(connection)
    } catch (error) {
      tell = (reader) => reader.refuse(error)
    }
    if (lane.joining === joining) lane.joining = undefined
    for (const reader of joining.readers) tell(reader)
  }

  function join(lane: Lane, credential: ActiveCredential, signal?: Departure): Promise<Connection> {
    assertRoom(lane)
    const joining = lane.joining?.uri === credential.uri ? lane.joining : open(lane, credential)
    return new Promise((resolve, reject) => {
      joined++
      const leave = () => {
        joined--
        signal?.removeEventListener("abort", abort)
        joining.readers.delete(reader)
      }
      const reader: Reader = {
        grant: (connection) => (leave(), resolve(connection)),
        refuse: (error) => (leave(), reject(error)),
      }
      const abort = () => {
        reader.refuse(new ClientGone("the client has gone away"))
        if (joining.readers.size > 0) return
        if (lane.joining === joining) lane.joining = undefined
        joining.abandoned.abort()
      }
      signal?.addEventListener("abort", abort)
      joining.readers.add(reader)
    })
  }

  return {
    async share(lane, credential, signal) {
      if (isSlow(lane)) return take(lane, credential, signal)
      // Who wants a connection alone has waited longer.
      const found = lane.waiting.size === 0 ? leastRead(lane) : undefined
      if (found && found[1].readers < CROWD) {
        found[1].readers++
        return found[0]
      }
      const idle = popIdle(lane, credential.uri)
      if (idle) {
        lane.shared.set(idle, { readers: 1, isLeaving: false })
        return idle
      }
      if (!found) return join(lane, credential, signal)
      if (!lane.joining && mayGrow(lane)) open(lane, credential)
      found[1].readers++
      return found[0]
    },
    joined: () => joined,
  }
}
