/**
 * A load generator that costs little: connections that are kept, one request at a time on each, the next as soon as the
 * answer is there. Runs by itself (`node bench/api/load.ts`), with its orders as JSON on standard input, and prints one
 * line of JSON.
 */
import { connect } from "node:net"
import { text } from "node:stream/consumers"
import { zipf } from "./zipf.ts"

export type Orders = {
  port: number
  /** Values of X-TenantId, the most wanted first. */
  tenants: string[]
  /** Rows with the ids 1 to so many are asked for. */
  products: number
  connections: number
  /** Asks every tenant once before anything else. */
  touch: boolean
  /** What is answered first is not counted: so many requests, or as many as come in so many seconds. */
  warm: { requests: number; seconds: number }
  seconds: number
  /** Sent with every request, such as "Authorization: Bearer …\r\n". */
  headers: string
}

/** Milliseconds for percentiles. */
export type Report = {
  /** All that were answered, counted or not. */
  total: number
  answered: number
  failed: number
  /** All that failed, counted or not. */
  unanswered: number
  perSecond: number
  /** Undefined where nothing was answered. */
  p50?: number | undefined
  p99?: number | undefined
  slowest?: number | undefined
}

/** Milliseconds after which a request without an answer has failed. */
const PATIENCE = 10_000
const HEADER_END = "\r\n\r\n"

async function run(orders: Orders): Promise<Report> {
  const { port, tenants, connections, touch, warm, seconds, products } = orders
  const draw = zipf(tenants.length)
  const untouched = touch ? [...tenants] : []
  const latencies: number[] = []
  let failed = 0
  let unanswered = 0
  let total = 0
  let phase: "touch" | "warm" | "measure" | "over" = touch ? "touch" : "warm"
  let touching = untouched.length
  const warmed = Promise.withResolvers<void>()
  if (!touch) warmed.resolve()

  const write = (tenant: string): string => {
    const target =
      Math.random() < 0.5 ? "/products?limit=20" : `/products/${1 + Math.floor(Math.random() * products)}`
    return `GET ${target} HTTP/1.1\r\nHost: bench\r\nX-TenantId: ${tenant}\r\n${orders.headers}\r\n`
  }

  function side(): Promise<void> {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true })
    socket.setEncoding("latin1")
    let received = ""
    let begun = 0
    let begunIn = phase
    let isConnected = false
    let isWaiting = false
    const ended = Promise.withResolvers<void>()

    const ask = () => {
      if (phase === "over") {
        socket.end()
        return
      }
      begunIn = phase
      const tenant = untouched.pop() ?? tenants[draw()]!
      begun = performance.now()
      isWaiting = true
      socket.write(write(tenant))
    }
    const answered = (isGood: boolean) => {
      isWaiting = false
      total++
      if (!isGood) unanswered++
      if (begunIn === "touch" && --touching <= 0) warmed.resolve()
      if (begunIn !== "measure") return
      if (isGood) latencies.push(performance.now() - begun)
      else failed++
    }
    socket.on("connect", () => {
      isConnected = true
      ask()
    })
    socket.on("data", (chunk: string) => {
      received += chunk
      const head = received.indexOf(HEADER_END)
      if (head === -1) return
      const length = /\r\ncontent-length: (\d+)/i.exec(received.slice(0, head + 2))
      if (!length) throw new Error(`an answer without Content-Length: ${received.slice(0, head)}`)
      if (received.length < head + HEADER_END.length + Number(length[1])) return
      answered(received.startsWith("HTTP/1.1 200"))
      received = ""
      ask()
    })
    socket.setTimeout(PATIENCE, () => socket.destroy())
    socket.on("error", () => {})
    socket.on("close", () => {
      if (isWaiting) answered(false)
      if (isConnected) ended.resolve()
      else ended.reject(new Error("the server takes no connection any more"))
    })
    // A server that closes a connection loses that request, and the load goes on with another connection.
    return ended.promise.then(() => (phase === "over" ? undefined : side()))
  }

  const sides = Promise.all(Array.from({ length: connections }, side))
  await warmed.promise
  phase = "warm"
  const cold = total
  const isWarm = () => total >= cold + warm.requests
  for (let waited = 0; !isWarm() && waited < warm.seconds; waited += 0.1) await after(0.1)
  phase = "measure"
  const from = performance.now()
  await after(seconds)
  phase = "over"
  const lasted = (performance.now() - from) / 1000
  await sides
  latencies.sort((a, b) => a - b)
  const at = (share: number) =>
    latencies[Math.min(latencies.length - 1, Math.floor(share * latencies.length))]
  return {
    total,
    answered: latencies.length,
    failed,
    unanswered,
    perSecond: latencies.length / lasted,
    p50: at(0.5),
    p99: at(0.99),
    slowest: latencies.at(-1),
  }
}

const after = (seconds: number) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds))

if (import.meta.main) {
  const orders = JSON.parse(await text(process.stdin)) as Orders
  process.stdout.write(`${JSON.stringify(await run(orders))}\n`)
}
