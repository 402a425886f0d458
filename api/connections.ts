/** Connections to one tenant's database: each is checked to be that tenant's before anything else runs on it. */
import type { QueryResult } from "pg"
import { parseMarker, type TenantId } from "../reconciler/tenant.ts"
import { cancelQuery } from "./cancel.ts"
import type { Departure } from "./departure.ts"
import { assertPresent, codeOf, isDismissal } from "./failures.ts"
import { holdWrites } from "./flush.ts"
import { createInFlight, type Flight, HeldUp } from "./in-flight.ts"
import { type Columns, Run, type Statement, type Value } from "./prepared.ts"
import { beginSession, cutSession, endSession, type Session, socketOf } from "./sessions.ts"

export type ActiveCredential = { state: "active"; uri: string; fleet: string }

/** Throws MarkerMismatch unless `comment`, the database's own, marks it as `tenant`'s of `fleet`. */
export type CheckMarker = (comment: string | null, tenant: TenantId, fleet: string) => void

/** Times are in milliseconds. */
export type ConnectionSettings = {
  connectTimeout: number
  statementTimeout: number
  checkMarker: CheckMarker
}

export type Connection = {
  uri: string
  /** When it could first be used, by performance.now(). */
  openedAt: number
  /**
   * Runs a statement and gives its rows; several may be under way, and the server does them in order. When `signal`
   * aborts, the server is asked to stop it: at once where it is alone, and where it has company as soon as it is the
   * one that takes long; once it has, nothing is sent. `Row` is what the statement's select list promises.
   */
  run: <Row>(statement: Statement, values: readonly Value[], signal?: Departure) => Promise<Row[]>
  /** The same with what is no prepared statement; the results of several are an array, which pg's types do not know. */
  query: (text: string, signal?: Departure) => Promise<QueryResult>
  /** Whether its session has ended, its socket has failed, or the server was asked to stop a statement. */
  isBroken: () => boolean
  /** Whether who comes now would wait behind a statement that takes long. */
  isStalled: () => boolean
  /** How long a statement takes on it: a moving average, in milliseconds. */
  pace: () => number
  /** Resolves when the server has surely given up the session, and with it its place among max_connections. */
  close: () => Promise<void>
  /** Settles when the session has ended. */
  ended: Promise<void>
}

/** The database answered, but its marker names somebody else, or nobody: nothing may be read from it. */
export class MarkerMismatch extends Error {
  override readonly name = "MarkerMismatch"
}

/**
 * Sets the session's limits and reads the marker, in one round trip. The limits are no start-up parameters because
 * PgBouncer, which Neon's pooled hosts are, refuses those. There they hold for one of the sessions that it lends, so
 * nothing may depend on them: our own limit, a second later, cancels what takes too long. The catalogue is read as
 * directly as can be (1262 is pg_database itself, in every Postgres): a new session has nothing of it in memory yet. A
 * literal in quotes has its column's type at once; for a bare number Postgres looks through all operators named =, and
 * for current_database() through its functions: together a fifth of what this takes.
 */
const introduction = (statementTimeout: number) => `
  set statement_timeout = ${statementTimeout};
  set idle_in_transaction_session_timeout = ${statementTimeout};
  select description as marker from pg_catalog.pg_shdescription where classoid = '1262'
     and objoid = (select oid from pg_catalog.pg_database where datname = current_catalog)`

/** How long a statement may keep those behind it waiting, in milliseconds. */
const STALL = 300

/** Thrown by `openConnection`; `gone` settles when the server has given up the session that came to nothing. */
export class NotConnected extends Error {
  override readonly name = "NotConnected"
  readonly gone: Promise<void>
  constructor(cause: unknown, gone: Promise<void>) {
    super("no connection was made", { cause })
    this.gone = gone
  }
}

/**
 * A connection to the database that is marked as `tenant`'s; over the session `begun`, where there is one that leads to it.
 * Throws NotConnected; its cause may be MarkerMismatch.
 */
export async function openConnection(
  tenant: TenantId,
  credential: ActiveCredential,
  settings: ConnectionSettings,
  begun?: Session,
): Promise<Connection> {
  const { uri } = credential
  const session = begun ?? beginSession(uri, settings.connectTimeout)
  const connection = wrap(uri, session, settings)
  try {
    await session.connected
    const results = await connection.query(introduction(settings.statementTimeout))
    const [, , comment] = results as unknown as QueryResult<{ marker: string }>[]
    settings.checkMarker(comment!.rows[0]?.marker ?? null, tenant, credential.fleet)
    connection.openedAt = performance.now()
    return connection
  } catch (error) {
    throw new NotConnected(error, connection.close())
  }
}

function wrap(uri: string, session: Session, settings: ConnectionSettings): Connection {
  const { client } = session
  // The server's own limit answers first; this one is for a server that does not answer at all.
  const inFlight = createInFlight(STALL, settings.statementTimeout + 1000)
  let isBroken = false
  // Without this listener a session that the server ends would end the process.
  client.on("error", () => (isBroken = true))
  client.on("end", () => (isBroken = true))

  /** Its client has gone away. A cancellation stops whatever the server is doing, so it must be this one's turn. */
  function stop(flight: Flight): void {
    if (!inFlight.has(flight)) return
    if (inFlight.head() === flight && (inFlight.size() === 1 || inFlight.isStalled())) {
      isBroken = true
      void cancelQuery(client)
    } else {
      setTimeout(stop, STALL, flight).unref()
    }
  }

  async function close(): Promise<void> {
    inFlight.unwatch()
    const { statementTimeout } = settings
    if (!inFlight.isStuck())
      return endSession(session, () => void client.end().catch(() => {}), statementTimeout)
    await cancelQuery(client)
    return cutSession(session, statementTimeout)
  }

  /** What `start` sends is under way until it says that it is done. */
  const send = <T>(start: (done: (error: Error | null, result?: T) => void) => void, signal?: Departure) =>
    new Promise<T>((resolve, reject) => {
      assertPresent(signal)
      const flight = inFlight.add(reject)
      const leave = () => stop(flight)
      signal?.addEventListener("abort", leave)
      holdWrites(socketOf(client))
      start((error, result) => {
        inFlight.end(flight)
        signal?.removeEventListener("abort", leave)
        if (error) reject(error)
        else resolve(result as T)
      })
    })

  const described = new Map<string, Columns>()
  let closing: Promise<void> | undefined
  return {
    uri,
    openedAt: 0,
    async run(statement, values, signal) {
      const run = new Run(statement, values, described)
      await send((done) => {
        run.callback = done
        client.query(run)
      }, signal)
      return run.read()
    },
    query: (text, signal) => send((done) => client.query(text, done), signal),
    isBroken: () => isBroken,
    isStalled: inFlight.isStalled,
    pace: inFlight.pace,
    close: () => (closing ??= close()),
    ended: session.ended,
  }
}

/** The check that the product makes. */
export const assertMarker: CheckMarker = (comment, tenant, fleet) => {
  const marker = parseMarker(comment)
  if (marker?.tenant === tenant && marker.fleet === fleet) return
  throw new MarkerMismatch(
    `the secret of tenant ${tenant} (fleet ${fleet}) leads to a database that is marked as ${
      marker ? `tenant ${marker.tenant} of fleet ${marker.fleet}` : "nobody's"
    }`,
  )
}

/** Whether a statement failed because of its connection and who else is on it, and not because of itself. */
export function isConnectionLost(connection: Connection, error: unknown): boolean {
  const code = codeOf(error) ?? ""
  const isGone = isDismissal(code) || /^(?:08|E[A-Z]{3,}$)/.test(code)
  return isGone || connection.isBroken() || error instanceof HeldUp
}
