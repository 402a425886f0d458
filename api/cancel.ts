/** Asks the server to stop what a session runs, on a connection of its own, as PostgreSQL's protocol wants it. */
import { once } from "node:events"
import { connect as connectTcp, isIP, type Socket } from "node:net"
import { connect as connectTls, type ConnectionOptions } from "node:tls"
import type { Client } from "pg"

/** What pg keeps of a session and does not declare: protocol 3.0's BackendKeyData, and what `ssl` became. */
type SessionKey = { processID: number | null; secretKey: number | null; ssl: boolean | ConnectionOptions }

const CANCEL_REQUEST = 80_877_102
const SSL_REQUEST = 80_877_103
/** Milliseconds. */
const TIME_LIMIT = 2000

const words = (...numbers: number[]): Buffer => {
  const message = Buffer.alloc(4 + 4 * numbers.length)
  message.writeInt32BE(message.length)
  numbers.forEach((number, index) => message.writeInt32BE(number, 4 + 4 * index))
  return message
}

/**
 * Resolves when the server has taken the request, or could not be asked within two seconds; whether it came in time nobody
 * knows.
 */
export async function cancelQuery(client: Client): Promise<void> {
  const { processID, secretKey, ssl } = client as unknown as SessionKey
  if (processID === null || secretKey === null) return
  const plain = connectTcp({ host: client.host, port: client.port })
  const late = setTimeout(() => plain.destroy(), TIME_LIMIT)
  // Who waits for an event of a socket that is destroyed would wait for ever.
  const over = new AbortController()
  plain.on("error", () => {}) // `close` follows
  plain.on("close", () => over.abort())
  try {
    const socket = ssl ? await secure(plain, client.host, ssl, over.signal) : plain
    // The server ends the connection when it is done: PgBouncer forgets the request of one who hangs up before.
    socket.write(words(CANCEL_REQUEST, processID, secretKey))
    socket.resume()
    if (!plain.closed) await once(plain, "close")
  } catch {
    plain.destroy()
  } finally {
    clearTimeout(late)
  }
}

async function secure(
  plain: Socket,
  host: string,
  ssl: true | ConnectionOptions,
  signal: AbortSignal,
): Promise<Socket> {
  plain.write(words(SSL_REQUEST))
  const [answer] = (await once(plain, "data", { signal })) as [Buffer]
  if (answer.toString("latin1") !== "S") throw new Error("the server does not speak TLS")
  // A server's name is no address (RFC 6066).
  const servername = isIP(host) === 0 ? { servername: host } : {}
  const socket = connectTls({ ...(ssl === true ? {} : ssl), host, socket: plain, ...servername })
  socket.on("error", () => plain.destroy())
  await once(socket, "secureConnect", { signal })
  return socket
}
