/** The first request to a tenant of whom the API knows nothing yet: its secret is read and its database connected to. */
import { Client } from "pg"
import type { Bench } from "../bench.ts"
import { type BenchTenant, type Fleet, startFleet } from "../api/fleet.ts"
import { startOurs } from "../api/servers.ts"

const BY_HAND = "connect and query"
const OURS = "tenantry"
/** The last tenants warm the process up and are not counted. */
const WARMING = 20

export const bench: Bench = {
  name: "cold",
  summary: "the first request to a tenant, one after the other, beside a connection made by hand",
  rounds: { full: 5, quick: 1 },
  async *scenes({ isQuick, folder }) {
    const counted = isQuick ? 20 : 200
    const fleet = await startFleet(folder, counted + WARMING)
    try {
      await fleet.limitConnections(counted + WARMING + 10)
      yield {
        name: `${counted} tenants`,
        anchor: BY_HAND,
        warmups: isQuick ? 0 : 1,
        contestants: [
          { name: BY_HAND, role: "limit", measure: () => inTurn(fleet, (tenant) => byHand(fleet, tenant)) },
          { name: OURS, role: "ours", measure: () => withOurs(fleet) },
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

async function inTurn({ tenants }: Fleet, ask: (tenant: BenchTenant) => Promise<number>) {
  const times: number[] = []
  for (const tenant of tenants.toReversed()) times.push(await ask(tenant))
  const sorted = times.slice(WARMING).sort((a, b) => a - b)
  const at = (share: number) => sorted[Math.floor(share * sorted.length)]!
  return { "p50 ms": at(0.5), "p99 ms": at(0.99) }
}

async function byHand(fleet: Fleet, tenant: BenchTenant): Promise<number> {
  const begun = performance.now()
  const client = new Client({ connectionString: fleet.uriOf(tenant) })
  await client.connect()
  await client.query("select id, name, price, description from products order by id limit $1", [21])
  const took = performance.now() - begun
  await client.end()
  return took
}

async function withOurs(fleet: Fleet) {
  const server = await startOurs(fleet, fleet.tenants.length)()
  try {
    return await inTurn(fleet, async ({ id }) => {
      const begun = performance.now()
      const answer = await fetch(`${server.url}/products?limit=20`, { headers: { "X-TenantId": id } })
      await answer.text()
      if (!answer.ok) throw new Error(`the API answers ${answer.status}`)
      return performance.now() - begun
    })
  } finally {
    await server.stop()
  }
}
