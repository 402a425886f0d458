/** Counts what a client asks of Postgres: the queries that it sends once it is logged in, each a round trip. */
import { once } from "node:events"
import { type AddressInfo, connect, createServer } from "node:net"

/** Runs `task` through a relay that speaks no protocol but counts the messages that ask something. */
export async function countMessages(
  uri: string,
  task: (through: string) => Promise<unknown>,
): Promise<number> {
  let round = 0
  const target = new URL(uri)
  const relay = createServer((near) => {
    const far = connect(Number(target.port), target.hostname)
    let isReady = false
    near.on("data", (bytes) => {
      // "Q" is a simple query, "P" the first message of an extended one; "X" says goodbye.
      if (isReady && (bytes[0] === 0x51 || bytes[0] === 0x50)) round += 1
      far.write(bytes)
    })
    far.on("data", (bytes) => {
      // ReadyForQuery ends the login.
      isReady ||= bytes.subarray(-6, -5).toString() === "Z"
      near.write(bytes)
    })
    near.on("close", () => far.destroy())
    far.on("close", () => near.destroy())
    near.on("error", () => far.destroy())
    far.on("error", () => near.destroy())
  })
  relay.listen(0, "127.0.0.1")
  await once(relay, "listening")
  const url = new URL(uri)
  url.port = String((relay.address() as AddressInfo).port)
  try {
    await task(url.href)
  } finally {
    relay.close()
  }
  return round
}
