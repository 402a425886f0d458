/**
 * The first request to a tenant whose secret was never read and who has no connection. One tenant after the other is asked
 * for both ways, in changing order; both sides have done it as often before, and both keep their sessions, so that they meet
 * the same server.
 */
import { once } from "node:events"
import { Agent, get, type IncomingMessage } from "node:http"
import path from "node:path"
import { text } from "node:stream/consumers"
import { alternately } from "../alternate.ts"
import type { Bench } from "../bench.ts"
import { startChild } from "../child.ts"
import { type BenchTenant, type Fleet, startFleet } from "../api/fleet.ts"
import { startOurs } from "../api/servers.ts"

const BY_HAND = "connect and query"
const OURS = "tenantry"

export const bench: Bench = {
  name: "cold",
  summary: "the first request to a tenant, one after the other, beside a connection made by hand",
  rounds: { full: 7, quick: 1 },
  async *scenes({ isQuick, folder }) {
    const counted = isQuick ? 20 : 200
    const fleet = await startFleet(folder, 2 * counted)
    try {
      await fleet.limitConnections(2 * fleet.tenants.length + 10)
      const measureOf = alternately(() => askForAll(fleet, counted))
      yield {
        name: `${counted} tenants`,
        anchor: BY_HAND,
        warmups: isQuick ? 0 : 1,
        contestants: [
          { name: BY_HAND, role: "limit", measure: measureOf(BY_HAND) },
          { name: OURS, role: "ours", measure: measureOf(OURS) },
        ],
        metrics: [
          { name: "p50 ms", digits: 1, isCompared: true },
          { name: "p99 ms", digits: 1, isCompared: true },
        ],
        targets: [
          { metric: "p50 ms", of: OURS, against: BY_HAND, atMost: 1.5 },
          { metric: "p99 ms", of: OURS, against: BY_HAND, atMost: 1.5 },
        ],
      }
    } finally {
      await fleet.close()
    }
  },
}

/** Both sides by processes that are as new. The tenants before the last `counted` ones warm them up. */
async function askForAll(fleet: Fleet, counted: number) {
  const hand = startChild(path.join(import.meta.dirname, "../cold/by-hand.ts"), [], {})
  const server = await startOurs(fleet, fleet.tenants.length, { AUTH: "off", POOL_IDLE_MS: "600000" })()
  const agent = new Agent({ keepAlive: true })
  const byHand = {
    times: [] as number[],
    ask: (tenant: BenchTenant) => hand.ask<number>(fleet.uriOf(tenant)),
  }
  const ours = { times: [] as number[], ask: ({ id }: BenchTenant) => askServer(server.url, agent, id) }
  try {
    for (const [n, tenant] of fleet.tenants.entries()) {
      for (const { times, ask } of n % 2 === 0 ? [byHand, ours] : [ours, byHand])
        times.push(await ask(tenant))
    }
    return {
      [BY_HAND]: summarize(byHand.times.slice(-counted)),
      [OURS]: summarize(ours.times.slice(-counted)),
    }
  } finally {
    agent.destroy()
    await Promise.all([server.stop(), hand.close()])
  }
}

function summarize(times: readonly number[]) {
  const sorted = times.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.floor(share * sorted.length)]!
  return { "p50 ms": at(0.5), "p99 ms": at(0.99) }
}

/** Milliseconds. By node:http, which takes less of the measuring process than fetch does. */
async function askServer(url: string, agent: Agent, tenant: string): Promise<number> {
  const begun = performance.now()
  const asked = get(`${url}/products?limit=20`, { agent, headers: { "X-TenantId": tenant } })
  const [answer] = (await once(asked, "response")) as [IncomingMessage]
  const body = await text(answer)
  if (answer.statusCode !== 200) throw new Error(`the API answers ${answer.statusCode}: ${body}`)
  return performance.now() - begun
}
