/** One session with Postgres: how it is begun, and how it is ended so that its place is surely free. */
import type { Socket } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { Client } from "pg"
import { codeOf, isDismissal } from "./failures.ts"

/** `connected` settles when it can be used, or will not be; `ended` when its socket is closed. */
export type Session = {
  client: Client
  connected: Promise<unknown>
  ended: Promise<void>
  /** Whether statements could run on it at any time. */
  hasBegun: () => boolean
  /** Whether the server has said that it ends it, or surely knows nothing of it. */
  isGivenUp: () => boolean
}

/** How long a session may take to end in order, in milliseconds. */
const FAREWELL = 2000
/** How long a server may take to notice that who wanted a session is gone, in milliseconds. */
const UNNOTICED = 2000
/** What says of a socket that there is no server at its other end any more. */
const GONE = new Set(["ECONNREFUSED", "ECONNRESET", "EPIPE"])

/**
 * Begins a session where `uri` leads. `password`, where that has none, is asked for when the server wants it. The caller
 * must listen to the client's errors, or one of them ends the process.
 */
export function beginSession(uri: string, connectTimeout: number, password?: () => Promise<string>): Session {
  const client = new Client({
    connectionString: uri,
    connectionTimeoutMillis: connectTimeout,
    keepAlive: true,
    // A statement is sent while those before it are still under way.
    pipeline: true,
    application_name: "tenantry-api",
  })
  // Not among the options, where pg would put the connection string's empty one in its place.
  if (password) Object.assign(client, { password })
  const ended = new Promise<void>((resolve) => client.once("end", resolve))
  let hasBegun = false
  let isDismissed = false
  // Who cannot begin is sent away by any error.
  wireOf(client).on("errorMessage", ({ code = "" }) => (isDismissed ||= !hasBegun || isDismissal(code)))
  const connected = client.connect().then(() => (hasBegun = true))
  const isGivenUp = () => isDismissed || isClosedThere(socketOf(client))
  return { client, connected, ended, hasBegun: () => hasBegun, isGivenUp }
}

/**
 * Ends a session by `leave`, and by force where that takes too long; resolves when the server has surely given it up. That
 * our side of the socket is closed says nothing of the server: pg does that by itself when connecting takes too long.
 */
export async function endSession(
  session: Session,
  leave: () => unknown,
  statementTimeout: number,
): Promise<void> {
  leave()
  await Promise.race([session.ended, sleep(FAREWELL, undefined, { ref: false })])
  if (!session.isGivenUp()) await cutSession(session, statementTimeout)
}

/** The server has closed its side, or never heard of us. */
const isClosedThere = (socket: Socket): boolean =>
  socket.readableEnded || socket.bytesWritten === 0 || GONE.has(codeOf(socket.errored) ?? "")

/** A session whose socket is cut may run on to its statement's end, and keeps its place so long. */
export async function cutSession({ client, hasBegun }: Session, statementTimeout: number): Promise<void> {
  socketOf(client).destroy()
  await sleep(hasBegun() ? statementTimeout : UNNOTICED, undefined, { ref: false })
}

/** What pg has and does not declare: lib/connection.js. */
type Wire = {
  stream: Socket
  on: (event: "errorMessage", hear: (message: { code?: string }) => void) => void
}

const wireOf = (client: Client): Wire => (client as unknown as { connection: Wire }).connection

export const socketOf = (client: Client): Socket => wireOf(client).stream
