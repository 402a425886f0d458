/** What a process holds while every tenant is in use. */
import { readFileSync } from "node:fs"
import type { Bench, Contestant } from "../bench.ts"
import { drive } from "../api/drive.ts"
import { PRODUCTS, startFleet } from "../api/fleet.ts"
import { startOurs, startPeer, type StartServer } from "../api/servers.ts"

const ANCHOR = "one database, no tenancy"
const OURS = "tenantry's API"

export const bench: Bench = {
  name: "memory",
  summary: "resident memory after every tenant was asked and while all are drawn by Zipf(1)",
  rounds: { full: 3, quick: 1 },
  async *scenes({ isQuick, folder }) {
    const count = isQuick ? 30 : 1000
    const connections = Math.floor(1.1 * count)
    const fleet = await startFleet(folder, count)
    const contestant = (name: string, role: Contestant["role"], start: StartServer): Contestant => ({
      name,
      role,
      async measure() {
        const server = await start()
        try {
          await drive({
            port: Number(new URL(server.url).port),
            tenants: fleet.tenants.map(({ id }) => id),
            products: PRODUCTS,
            connections: 64,
            touch: true,
            warm: { requests: 0, seconds: 0 },
            seconds: isQuick ? 1 : 10,
            headers: "",
          })
          return { MB: residentMegabytes(server.pid) }
        } finally {
          await server.stop()
        }
      },
    })
    try {
      await fleet.limitConnections(connections + 10)
      const uris = new Map(fleet.tenants.map((tenant) => [tenant.id as string, fleet.uriOf(tenant)]))
      yield {
        name: `API, ${count} tenants with a connection each`,
        anchor: ANCHOR,
        warmups: 0,
        contestants: [
          contestant(ANCHOR, "limit", startPeer("one-pool", folder, uris)),
          contestant(OURS, "ours", startOurs(fleet, connections)),
          contestant("map of pools", "peer", startPeer("map-of-pools", folder, uris, { POOL_MAX: "1" })),
        ],
        metrics: [{ name: "MB", isCompared: true }],
        targets: [{ metric: "MB", of: OURS, atMost: 250 }],
      }
    } finally {
      await fleet.close()
    }
  },
}

/** Linux alone tells; elsewhere it throws. */
const residentMegabytes = (pid: number): number =>
  Number(/^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]) / 1000
