/**
 * The gate's way to Postgres: it reads the messages of the protocol (https://www.postgresql.org/docs/18/protocol-message-formats.html)
 * as far as to know which statement is sent, and when the server is ready for the next one.
 */
import { once } from "node:events"
import { type AddressInfo, connect, createServer, type Socket } from "node:net"
import type { Arrival, Post } from "./gate.ts"

/** A message with its head; `type` is "" for the first one of a client, which has none. */
type Message = { type: string; bytes: Buffer }

/** Cuts a stream of bytes into messages. */
function framer(hasStartup: boolean): (chunk: Buffer) => Message[] {
  let rest = Buffer.alloc(0)
  let isFirst = hasStartup
  return (chunk) => {
    rest = Buffer.concat([rest, chunk])
    const messages: Message[] = []
    for (;;) {
      const head = isFirst ? 0 : 1
      if (rest.length < head + 4) return messages
      const length = head + rest.readInt32BE(head)
      if (rest.length < length) return messages
      messages.push({ type: isFirst ? "" : String.fromCharCode(rest[0]!), bytes: rest.subarray(0, length) })
      rest = rest.subarray(length)
      isFirst = false
    }
  }
}

/** The statement of a Query or Parse message. */
function statementOf({ type, bytes }: Message): string | undefined {
  if (type !== "Q" && type !== "P") return undefined
  const [first = "", second = ""] = bytes.subarray(5).toString().split("\0")
  return (type === "Q" ? first : second).trim()
}

/** Ending other sessions changes the world, too, though it is a "select". */
const isWrite = (statement: string) =>
  /pg_terminate_backend/.test(statement) ||
  !/^(?:$|select\b|set\b|show\b|(?:begin|rollback)$)/i.test(statement)

const LEASE = "select pg_try_advisory_lock($1) as held"
/** True for every number, and as long as the other. */
const FORGED = "select $1::int8 is not null as held".padEnd(LEASE.length)

const DATA_ROW_OF_TRUE = Buffer.from([0, 1, 0, 0, 0, 1, "t".charCodeAt(0)])

/** Listens on a free port and leads to the Postgres at `port`. */
export async function openSqlGate(post: Post, port: number) {
  const sockets = new Set<Socket>()
  let connections = 0

  const server = createServer((inward) => {
    connections++
    const outward = connect(port, "127.0.0.1")
    let pending: Arrival | undefined
    let asksForLease = false
    let tenure: ReturnType<Post["tenure"]> | undefined
    const end = () => {
      tenure?.end()
      inward.destroy()
      outward.destroy()
    }
    for (const socket of [inward, outward]) {
      sockets.add(socket)
      socket.setNoDelay()
      socket.on("error", end).on("close", () => {
        sockets.delete(socket)
        end()
      })
    }

    const fromClient = framer(true)
    inward.on("data", (chunk) => {
      for (const message of fromClient(chunk)) {
        const statement = statementOf(message)
        if (statement !== undefined && isWrite(statement)) {
          const arrival = post.arrive("sql", statement)
          if (arrival === "cut") return end()
          pending = arrival
        }
        asksForLease ||= statement === LEASE
        // From here on Postgres may give the lease to somebody else.
        if (message.type === "X") tenure?.end()
        if (post.isShut()) return end()
        outward.write(statement === LEASE && post.isLeaseForged ? forge(message) : message.bytes)
      }
    })

    const held: Buffer[] = []
    const flush = () => {
      if (post.isShut()) return end()
      for (const bytes of held.splice(0)) inward.write(bytes)
    }
    const fromServer = framer(false)
    outward.on("data", (chunk) => {
      for (const { type, bytes } of fromServer(chunk)) {
        if (type === "D" && asksForLease && bytes.subarray(5).equals(DATA_ROW_OF_TRUE))
          tenure ??= post.tenure()
        // Until the server is ready, what it says is the beginning of an answer that may have to be lost.
        held.push(bytes)
        if (type === "Z") {
          const verdict = pending?.answered()
          pending = undefined
          if (verdict === "cut") return end()
        }
        if (pending === undefined) flush()
      }
    })
    // The last words of a session that the server ends.
    outward.on("end", () => {
      flush()
      inward.end()
    })
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  post.onShut(cut)
  return {
    port: (server.address() as AddressInfo).port,
    connections: () => connections,
    close: async () => {
      cut()
      server.close()
    },
  }
}

function forge({ bytes }: Message): Buffer {
  const text = bytes.toString("latin1").replace(LEASE, FORGED)
  return Buffer.from(text, "latin1")
}
