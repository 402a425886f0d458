import { randomInt } from "node:crypto"
import { once } from "node:events"
import { createServer } from "node:net"

/** A port that nobody listens on, below the ranges from which the operating system and Postgres's port are taken. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 20_000)
    const probe = createServer().listen(port)
    const isFree = await once(probe, "listening").then(
      () => true,
      () => false,
    )
    probe.close()
    if (isFree) return port
  }
}
