import { randomInt } from "node:crypto"
import { once } from "node:events"
import { createServer } from "node:net"

/**
 * A port that nobody listens on, of the 10,000 from `first`: the usual ones are below the ranges from which the operating
 * system's and Postgres's ports are taken.
 */
export async function freePort(first = 10_000): Promise<number> {
  for (;;) {
    const port = randomInt(first, first + 10_000)
    const probe = createServer().listen(port)
    const isFree = await once(probe, "listening").then(
      () => true,
      () => false,
    )
    probe.close()
    if (isFree) return port
  }
}
