/** Requests a second of many tenants, drawn by Zipf's law, with few or many connections. */
import { HEAP } from "../../local/part.ts"
import type { Bench, Contestant, Scene } from "../bench.ts"
import { underLoad } from "../api/drive.ts"
import { type Fleet, PRODUCTS, startFleet } from "../api/fleet.ts"
import { findPgbouncer } from "../api/pgbouncer.ts"
import { POOL_MAX, startBehindPgbouncer, startOurs, startPeer, type StartServer } from "../api/servers.ts"

/** `connections`: what may be open at Postgres. `share`: of the anchor's requests a second that ours is to answer. */
type Row = { tenants: number; connections: number; share: number; isScarce?: boolean }

const ROWS: Row[] = [
  { tenants: 50, connections: 90, share: 1 },
  { tenants: 200, connections: 1100, share: 0.95 },
  { tenants: 200, connections: 90, share: 0.25, isScarce: true },
  { tenants: 1000, connections: 1100, share: 0.7 },
]
/** Fewer tenants and connections, alike in how many have to share. */
const QUICK_ROWS: Row[] = [
  { tenants: 30, connections: 90, share: 1 },
  { tenants: 30, connections: 14, share: 0.25, isScarce: true },
]

/** Clients at once. */
const CLIENTS = 64
/** Places at Postgres beyond those that a contestant may take: for sessions that are just being ended. */
const MARGIN = 7

const ANCHOR = "one database, no tenancy"
const OURS = "tenantry"
const MAP = "map of pools"
const LRU = "LRU of pools"
const SINGLES = "LRU of single connections"
const PGBOUNCER = "map, PgBouncer"

export const bench: Bench = {
  name: "api",
  summary: "half lists of 20 products, half single products, of tenants drawn by Zipf(1)",
  rounds: { full: 5, quick: 1 },
  async *scenes({ isQuick, folder, say }) {
    const rows = isQuick ? QUICK_ROWS : ROWS
    const count = Math.max(...rows.map(({ tenants }) => tenants))
    say(`api: making ${count} tenants`)
    const fleet = await startFleet(folder, count)
    try {
      for (const row of rows) {
        await fleet.limitConnections(row.connections + MARGIN)
        yield sceneOf(row, fleet, folder, isQuick)
      }
    } finally {
      await fleet.close()
    }
  },
}

const pools = (size: number) => ({ POOL_MAX: String(size), NODE_OPTIONS: HEAP })

function sceneOf(row: Row, fleet: Fleet, folder: string, isQuick: boolean): Scene {
  const { connections, share, isScarce = false } = row
  const tenants = fleet.tenants.slice(0, row.tenants)
  const uris = new Map(tenants.map((tenant) => [tenant.id as string, fleet.uriOf(tenant)]))
  const pgbouncer = isQuick ? undefined : findPgbouncer()
  // As many connections for each tenant as there are for all of them, and no more than ours has.
  const perTenant = Math.max(1, Math.min(POOL_MAX, Math.floor(connections / row.tenants)))
  const load = {
    tenants: tenants.map(({ id }) => id),
    products: PRODUCTS,
    connections: CLIENTS,
    touch: !isScarce,
    // A server that is just started is compiled while it runs, which takes requests and not seconds.
    warm: isQuick ? { requests: 5000, seconds: 2 } : { requests: 20_000, seconds: 20 },
    seconds: isQuick ? 2 : 5,
    headers: "",
  }
  const contestant = (name: string, role: Contestant["role"], start: StartServer): Contestant => ({
    name,
    role,
    measure: () =>
      underLoad(start, load, ({ answered, failed, perSecond, p50, p99 }) => {
        if (answered === 0) throw new Error(`${name}: no request was answered`)
        if (failed > 0 && role === "bare") throw new Error(`${name}: ${failed} requests have failed`)
        return {
          "requests/s": perSecond,
          // Of those that were answered.
          "p50 ms": p50!,
          "p99 ms": p99!,
          "failed %": (100 * failed) / (answered + failed),
        }
      }),
  })
  const lru = (name: string, size: number) =>
    contestant(
      name,
      "peer",
      startPeer("lru-of-pools", folder, uris, { CONNECTIONS_MAX: String(connections), ...pools(size) }),
    )
  // It throws out whole pools: where there are fewer connections than tenants, single ones are best, and no pools.
  const lrus = isScarce ? [lru(LRU, 2), lru(SINGLES, 1)] : [lru(LRU, perTenant)]
  return {
    name: `${row.tenants} tenants, ${connections} connections`,
    warmups: 0,
    anchor: ANCHOR,
    contestants: [
      contestant(ANCHOR, "bare", startPeer("one-pool", folder, uris)),
      contestant(OURS, "ours", startOurs(fleet, connections)),
      ...(isQuick
        ? []
        : [contestant(MAP, "peer", startPeer("map-of-pools", folder, uris, pools(perTenant)))]),
      ...lrus,
      ...(pgbouncer
        ? [
            contestant(
              PGBOUNCER,
              "peer",
              startBehindPgbouncer(pgbouncer, folder, fleet, tenants, connections),
            ),
          ]
        : []),
    ],
    metrics: [
      { name: "requests/s", isCompared: true },
      { name: "p50 ms", digits: 1, isCompared: true },
      { name: "p99 ms", digits: 1, isCompared: true },
      { name: "failed %", digits: 2 },
    ],
    targets: [
      { metric: "requests/s", of: OURS, against: ANCHOR, atLeast: share },
      { metric: "failed %", of: OURS, atMost: 0 },
      ...(isScarce
        ? [
            ...lrus.map(({ name }) => ({ metric: "requests/s", of: OURS, against: name, atLeast: 2 })),
            ...(pgbouncer ? [{ metric: "requests/s", of: OURS, against: PGBOUNCER, atLeast: 1.3 }] : []),
          ]
        : []),
    ],
    missing: isQuick
      ? [`${MAP}, ${PGBOUNCER}: not in a quick run`]
      : pgbouncer
        ? []
        : [`${PGBOUNCER}: no pgbouncer on this machine; apt-get install pgbouncer has one`],
  }
}
