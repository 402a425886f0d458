/**
 * A relay to a port of this machine that holds back what comes from there: a round trip takes so many milliseconds longer,
 * that of connecting too. A process of its own, so that it takes no turn from what is measured: node relay.ts <port>
 * <milliseconds>; it prints its own port.
 */
import { connect, createServer, type Socket } from "node:net"

const [port, delay] = process.argv.slice(2).map(Number) as [number, number]

const pass = (from: Socket, to: Socket, wait: (work: () => void) => void) => {
  from.setNoDelay(true)
  from.on("data", (bytes) => wait(() => to.write(bytes)))
  from.on("close", () => wait(() => to.destroy()))
  from.on("error", () => {})
}
const later = (work: () => void) => void setTimeout(work, delay)

const server = createServer((near) => {
  near.pause().on("error", () => {})
  later(() => {
    const far = connect(port, "127.0.0.1")
    pass(near, far, (work) => work())
    pass(far, near, later)
    near.resume()
  })
})
server.listen(0, "127.0.0.1", () => {
  const address = server.address()
  if (address && typeof address === "object") process.stdout.write(`${address.port}\n`)
})
process.on("disconnect", () => process.exit())
