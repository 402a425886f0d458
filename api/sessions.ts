/** One session with Postgres: how it is begun, and how it is ended so that its place is surely free. */
import type { Socket } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { Client } from "pg"

/** `connected` settles when it can be used, or will not be; `ended` when its socket is closed. */
export type Session = { client: Client; connected: Promise<unknown>; ended: Promise<void> }

/** How long a session may take to end in order, in milliseconds. */
const FAREWELL = 2000

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
  return { client, connected: client.connect(), ended }
}

/**
 * Ends a session by `leave`, and by force where that takes too long; resolves when the server has surely given it up, which
 * may be `grace` milliseconds after force.
 */
export async function endSession(session: Session, leave: () => unknown, grace: number): Promise<void> {
  leave()
  const isGone = session.ended.then(() => true)
  if (await Promise.race([isGone, sleep(FAREWELL, false, { ref: false })])) return
  await cutSession(session, grace)
}

/** A session whose socket is cut may run on to its statement's end, and keeps its place so long: `grace` milliseconds. */
export async function cutSession({ client }: Session, grace: number): Promise<void> {
  socketOf(client).destroy()
  await sleep(grace, undefined, { ref: false })
}

export const socketOf = (client: Client): Socket =>
  (client as unknown as { connection: { stream: Socket } }).connection.stream
