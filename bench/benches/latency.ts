/** One tenant, from its file being saved to its first answer, beside its parts done by hand. */
import { randomUUID } from "node:crypto"
import path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import type { Bench, Figures } from "../bench.ts"
import { type Child, startChild } from "../child.ts"
import { declare, resetWorld, type RunningWorld, startWorld } from "../latency/world.ts"

const BY_HAND = path.join(import.meta.dirname, "../latency/by-hand.ts")
const PARTS = ["create", "roles", "migrate", "secret", "first query"].map((part) => `${part} ms`)

export const bench: Bench = {
  name: "latency",
  summary: "a file is saved, and the API answers its tenant",
  rounds: { full: 15, quick: 1 },
  async *scenes({ folder }) {
    let world: RunningWorld | undefined
    let byHand: Child | undefined
    let turns = 0
    try {
      const running = (world = await startWorld(folder))
      const parts = (byHand = startChild(BY_HAND, [], running.environment))
      yield {
        name: "one new tenant",
        contestants: [
          {
            name: "its parts by hand",
            role: "limit",
            measure: async () => {
              const took = await parts.ask<Figures>({ id: randomUUID(), name: `hand-${turns++}` })
              return { ms: Object.values(took).reduce((sum, ms) => sum + ms, 0), ...took }
            },
          },
          {
            name: "tenantry",
            role: "ours",
            measure: async () => {
              const id = randomUUID()
              const started = performance.now()
              await declare(running, id, `bench-${turns++}`)
              await untilServed(running.api, id)
              return { ms: performance.now() - started }
            },
          },
        ],
        metrics: [{ name: "ms", isCompared: true }, ...PARTS.map((name) => ({ name }))],
        anchor: "its parts by hand",
        targets: [{ metric: "ms", of: "tenantry", against: "its parts by hand", atMost: 2 }],
      }
    } finally {
      await byHand?.close()
      await world?.stop()
      await resetWorld(folder)
    }
  },
}

/** Asks as a client does that waits for its tenant. Throws after a minute. */
async function untilServed(api: string, tenant: string): Promise<void> {
  const deadline = performance.now() + 60_000
  while (performance.now() < deadline) {
    const answer = await fetch(`${api}/products`, { headers: { "X-TenantId": tenant } })
    await answer.body?.cancel()
    if (answer.status === 200) return
    await sleep(10)
  }
  throw new Error(`the tenant ${tenant} is not served after a minute`)
}
