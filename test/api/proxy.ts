/** A wire between the API and Postgres that can be listened to, and cut at a commit. */
import { once } from "node:events"
import { type AddressInfo, connect, createServer, type Socket } from "node:net"

/** `before`: the server never sees the commit. `after`: it commits, and its answer is lost. */
export type Cut = "before" | "after"

/**
 * Forwards to `port`; `hear` is given what the API sends, and on which of its connections, counted from 0; `cutNextCommit`
 * arms one cut.
 */
export async function startProxy(port: number, hear: (chunk: Buffer, connection: number) => void = () => {}) {
  let armed: Cut | undefined
  let cuts = 0
  let connections = 0
  let farewells = 0
  let isDeaf = false
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (inward) => {
    const connection = connections++
    const outward = connect(port, "127.0.0.1")
    const end = () => {
      inward.destroy()
      outward.destroy()
    }
    for (const socket of [inward, outward]) {
      sockets.add(socket)
      socket.on("error", end).on("close", () => {
        sockets.delete(socket)
        end()
      })
    }
    inward.on("data", (chunk) => {
      hear(chunk, connection)
      const isCommit = chunk.includes("commit\0")
      if (!isCommit || !armed) return void outward.write(chunk)
      const how = armed
      armed = undefined
      cuts++
      if (how === "before") return end()
      outward.removeAllListeners("data")
      outward.once("data", end)
      outward.write(chunk)
    })
    inward.on("end", () => {
      farewells++
      if (!isDeaf) outward.end()
    })
    outward.on("data", (chunk) => inward.write(chunk))
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  return {
    port: (server.address() as AddressInfo).port,
    cutNextCommit: (how: Cut) => void (armed = how),
    cuts: () => cuts,
    /** How many connections the API has ended. */
    farewells: () => farewells,
    /** From now on the server does not hear that the API ends a connection. */
    hideFarewells: () => void (isDeaf = true),
    close() {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}
