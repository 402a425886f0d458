/**
 * The first request to a tenant of whom the API knows nothing yet: its secret is read and its database connected to. One
 * tenant after the other is asked for both ways, in changing order; both sides have done it as often before, and both keep
 * their sessions, so that they meet the same server.
 */
import { once } from "node:events"
import { Agent, get, type IncomingMessage } from "node:http"
import { text } from "node:stream/consumers"
import { Client } from "pg"
import { alternately } from "../alternate.ts"
import type { Bench } from "../bench.ts"
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

/** The tenants before the last `counted` ones warm both sides up. */
async function askForAll(fleet: Fleet, counted: number) {
  const server = await startOurs(fleet, fleet.tenants.length)()
  const agent = new Agent({ keepAlive: true })
  const kept: Client[] = []
  const byHand = { times: [] as number[], ask: (tenant: BenchTenant) => connectAndQuery(fleet, tenant, kept) }
  const ours = { times: [] as number[], ask: ({ id }: BenchTenant) => askServer(server.url, agent, id) }
  try {
    for (const [n, tenant] of fleet.tenants.entries()) {
      for (const { times, ask } of n % 2 === 0 ? [byHand, ours] : [ours, byHand]) {
        const begun = performance.now()
        await ask(tenant)
        times.push(performance.now() - begun)
      }
    }
    return {
      [BY_HAND]: summarize(byHand.times.slice(-counted)),
      [OURS]: summarize(ours.times.slice(-counted)),
    }
  } finally {
    agent.destroy()
    await Promise.all([server.stop(), ...kept.map((client) => client.end())])
  }
}

function summarize(times: readonly number[]) {
  const sorted = times.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.floor(share * sorted.length)]!
  return { "p50 ms": at(0.5), "p99 ms": at(0.99) }
}

async function connectAndQuery(fleet: Fleet, tenant: BenchTenant, kept: Client[]): Promise<void> {
  const client = new Client({ connectionString: fleet.uriOf(tenant) })
  await client.connect()
  await client.query("select id, name, price, description from products order by id limit $1", [21])
  kept.push(client)
}

/** By node:http, which takes less of the measuring process than fetch does. */
async function askServer(url: string, agent: Agent, tenant: string): Promise<void> {
  const asked = get(`${url}/products?limit=20`, { agent, headers: { "X-TenantId": tenant } })
  const [answer] = (await once(asked, "response")) as [IncomingMessage]
  const body = await text(answer)
  if (answer.statusCode !== 200) throw new Error(`the API answers ${answer.statusCode}: ${body}`)
}
