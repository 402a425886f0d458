/**
 * A relay to a port of this machine that holds back what it passes on: a round trip takes so many milliseconds longer.
 * A process of its own, so that it takes no turn from what is measured: node relay.ts <port> <milliseconds>; it prints
 * its own port.
 */
import { connect, createServer, type Socket } from "node:net"

const [port, delay] = process.argv.slice(2).map(Number) as [number, number]

const pass = (from: Socket, to: Socket) => {
  from.setNoDelay(true)
  from.on("data", (bytes) => setTimeout(() => to.write(bytes), delay / 2))
  from.on("close", () => setTimeout(() => to.destroy(), delay / 2))
  from.on("error", () => {})
}

const server = createServer((near) => {
  const far = connect(port, "127.0.0.1")
  pass(near, far)
  pass(far, near)
})
server.listen(0, "127.0.0.1", () => {
  const address = server.address()
  if (address && typeof address === "object") process.stdout.write(`${address.port}\n`)
})
process.on("disconnect", () => process.exit())
