/** A client as cheap as can be: one HTTP/1.1 connection that is kept, one request after the other. */
import { once } from "node:events"
import { connect, type Socket } from "node:net"

export type Ask = { method: string; target: string; headers?: Record<string, string>; body?: unknown }
type Reply = { status: number; text: string }

export type KeepAlive = {
  /**
   * The answer, or "gone" where the client went away first: it cuts the connection after `patience` milliseconds. Throws
   * where the connection ends before the answer does, and where an answer does not say how long it is.
   */
  send: (ask: Ask, patience?: number) => Promise<Reply | "gone">
  close: () => void
}

/** Nothing is opened before the first request. */
export function keepAlive(url: string): KeepAlive {
  const { hostname, port, host } = new URL(url)
  let socket: Socket | undefined

  async function open(): Promise<Socket> {
    if (socket && !socket.destroyed && socket.writable) return socket
    const fresh = connect(Number(port), hostname)
    fresh.setNoDelay(true)
    await once(fresh, "connect")
    return (socket = fresh)
  }

  const textOf = ({ method, target, headers, body }: Ask): string => {
    const text = body === undefined ? "" : JSON.stringify(body)
    const length =
      body === undefined
        ? ""
        : `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n`
    const fields = Object.entries(headers ?? {}).map(([name, value]) => `${name}: ${value}\r\n`)
    return `${method} ${target} HTTP/1.1\r\nHost: ${host}\r\n${fields.join("")}${length}\r\n${text}`
  }

  return {
    async send(ask, patience) {
      const wire = await open()
      return new Promise((resolve, reject) => {
        let got: Buffer = Buffer.alloc(0)
        const settle = () => {
          clearTimeout(timer)
          wire.off("data", onData).off("error", reject).off("close", onClose)
        }
        const onData = (chunk: Buffer) => {
          got = got.length === 0 ? chunk : Buffer.concat([got, chunk])
          let reply: Reply | undefined
          try {
            reply = readReply(got)
          } catch (error) {
            settle()
            wire.destroy()
            return reject(error)
          }
          if (!reply) return
          settle()
          resolve(reply)
        }
        const onClose = () => {
          settle()
          reject(new Error(`the connection ended after ${got.length} bytes of the answer`))
        }
        const leave = () => {
          settle()
          wire.on("error", () => {}).destroy()
          resolve("gone")
        }
        const timer = patience === undefined ? undefined : setTimeout(leave, patience)
        wire.on("data", onData).on("error", reject).on("close", onClose)
        wire.write(textOf(ask))
      })
    },
    close: () => void socket?.destroy(),
  }
}

/** The answer that `bytes` hold; undefined while more of it is to come. */
function readReply(bytes: Buffer): Reply | undefined {
  const end = bytes.indexOf("\r\n\r\n")
  if (end === -1) return undefined
  const head = bytes.toString("latin1", 0, end)
  const status = Number(head.slice(9, 12))
  const said = /\r\ncontent-length: (\d+)/i.exec(head)
  if (!said && status !== 204 && status !== 304) throw new Error(`an answer of unknown length:\n${head}`)
  const begin = end + 4
  const length = Number(said?.[1] ?? 0)
  if (bytes.length < begin + length) return undefined
  if (bytes.length > begin + length) throw new Error(`more than one answer:\n${bytes.toString("utf8")}`)
  return { status, text: bytes.toString("utf8", begin) }
}
