/** Asks the server to stop what a session runs, on a connection of its own, as PostgreSQL's protocol wants it. */
import { once } from "node:events"
import { connect as connectTcp, type Socket } from "node:net"
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

/** Resolves when the server has taken the request, or could not be asked; whether it came in time nobody knows. */
export async function cancelQuery(client: Client): Promise<void> {
  const { processID, secretKey, ssl } = client as unknown as SessionKey
  if (processID === null || secretKey === null) return
  const plain = connectTcp({ host: client.host, port: client.port })
  const late = setTimeout(() => plain.destroy(), TIME_LIMIT)
  plain.on("error", () => {}) // `close` follows
  try {
    const socket = ssl ? await secure(plain, client.host, ssl) : plain
    // The server ends the connection when it is done: PgBouncer forgets the request of one who hangs up before.
    socket.write(words(CANCEL_REQUEST, processID, secretKey))
    socket.resume()
    if (!socket.closed) await once(socket, "close")
  } catch {
    plain.destroy()
  } finally {
    clearTimeout(late)
  }
}

async function secure(plain: Socket, host: string, ssl: true | ConnectionOptions): Promise<Socket> {
  plain.write(words(SSL_REQUEST))
  const [answer] = (await once(plain, "data")) as [Buffer]
  if (answer.toString("latin1") !== "S") throw new Error("the server does not speak TLS")
  const socket = connectTls({ ...(ssl === true ? {} : ssl), socket: plain, servername: host })
  await once(socket, "secureConnect")
  return socket
}
