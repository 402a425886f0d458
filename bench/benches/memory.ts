/** What a process holds: the API while every tenant is in use, and the reconciler of a large fleet. */
import { readFileSync } from "node:fs"
import { writeFile } from "node:fs/promises"
import path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { Client } from "pg"
import { HEAP } from "../../local/part.ts"
import type { Bench, Contestant, Scene } from "../bench.ts"
import { underLoad } from "../api/drive.ts"
import { type Fleet, PRODUCTS, startFleet } from "../api/fleet.ts"
import { startProgram } from "../api/program.ts"
import { startOurs, startPeer, type StartServer } from "../api/servers.ts"
import { freePort } from "../free-port.ts"
import { startListing } from "../noop/start-listing.ts"

const ANCHOR = "one database, no tenancy"
const API = "tenantry's API"
const RECONCILER = "tenantry's reconciler"
const RECONCILER_FILE = path.resolve(import.meta.dirname, "../../reconciler/main.ts")
/** How long so many passes may take, in milliseconds. */
const PATIENCE = 300_000
/** Sessions are kept for longer than a turn lasts, so that there is one for each tenant at its end. */
const KEEP = { POOL_IDLE_MS: "600000" }

export const bench: Bench = {
  name: "memory",
  summary:
    "resident memory: the API with a connection to each tenant, the reconciler after passes and an edit",
  rounds: { full: 3, quick: 1 },
  async *scenes({ isQuick, folder, say }) {
    const fleet = await startFleet(folder, isQuick ? 30 : 1000)
    try {
      await fleet.limitConnections(connectionsOf(fleet) + 10)
      yield ofApi(fleet, folder, isQuick)
    } finally {
      await fleet.close()
    }
    const count = isQuick ? 2000 : 10_000
    say(`memory: writing ${count} files`)
    const listing = await startListing(folder, count)
    try {
      yield ofReconciler(listing.environment, count, isQuick)
    } finally {
      listing.close()
    }
  },
}

const connectionsOf = (fleet: Fleet) => Math.floor(1.1 * fleet.tenants.length)

function ofApi(fleet: Fleet, folder: string, isQuick: boolean): Scene {
  const uris = new Map(fleet.tenants.map((tenant) => [tenant.id as string, fleet.uriOf(tenant)]))
  const load = {
    tenants: fleet.tenants.map(({ id }) => id),
    products: PRODUCTS,
    connections: 64,
    touch: true,
    warm: { requests: 0, seconds: 0 },
    seconds: isQuick ? 1 : 10,
    headers: "",
  }
  const contestant = (name: string, role: Contestant["role"], start: StartServer): Contestant => ({
    name,
    role,
    measure: () =>
      underLoad(start, load, async ({ unanswered }, { pid }) => {
        if (unanswered > 0) throw new Error(`${name}: ${unanswered} requests have failed`)
        return { MB: residentMegabytes(pid, "VmRSS"), sessions: await sessionsOf(fleet) }
      }),
  })
  return {
    name: `API, ${fleet.tenants.length} tenants with a connection each`,
    anchor: ANCHOR,
    warmups: 0,
    contestants: [
      contestant(ANCHOR, "bare", startPeer("one-pool", folder, uris, { NODE_OPTIONS: HEAP })),
      contestant(API, "ours", startOurs(fleet, connectionsOf(fleet), { AUTH: "off", ...KEEP })),
      contestant(
        "map of pools",
        "peer",
        startPeer("map-of-pools", folder, uris, { POOL_MAX: "1", NODE_OPTIONS: HEAP, ...KEEP }),
      ),
    ],
    metrics: [{ name: "MB", isCompared: true }, { name: "sessions" }],
    targets: isQuick
      ? []
      : [
          { metric: "MB", of: API, atMost: 250 },
          { metric: "sessions", of: API, atLeast: fleet.tenants.length },
        ],
  }
}

/** Passes follow each other with ten seconds between two, as a quiet fleet's do with a minute; one is woken by an edit. */
function ofReconciler(environment: Record<string, string>, count: number, isQuick: boolean): Scene {
  const file = path.join(environment["TENANTS_DIR"]!, "000/0.yaml")
  const original = readFileSync(file, "utf8")
  async function measure() {
    const port = await freePort()
    const reconciler = await startProgram(
      RECONCILER_FILE,
      {
        ...environment,
        AUTH: "off",
        STATUS_HOST: "127.0.0.1",
        STATUS_PORT: String(port),
        RECONCILE_INTERVAL: isQuick ? "1" : "10",
      },
      /"statusPort":(\d+),"msg":"reconciler is watching"/,
      ["run"],
    )
    try {
      const passes = async () => {
        const metrics = await (await fetch(`${reconciler.url}/metrics`)).text()
        return Number(/^tenantry_passes_total\{outcome="done"\} (\d+)/m.exec(metrics)?.[1] ?? 0)
      }
      const until = async (wanted: number) => {
        const deadline = performance.now() + PATIENCE
        while ((await passes()) < wanted) {
          if (performance.now() > deadline) throw new Error(`there are no ${wanted} good passes in time`)
          await sleep(100)
        }
      }
      await until(isQuick ? 1 : 3)
      await writeFile(file, `${original.trimEnd()}\n# An edit that changes nothing of what is wanted.\n`)
      await until(isQuick ? 3 : 8)
      const seen = (await (await fetch(`${reconciler.url}/status.json`)).json()) as { tenants: unknown[] }
      if (seen.tenants.length !== count)
        throw new Error(`the reconciler shows ${seen.tenants.length} of ${count} tenants`)
      return {
        MB: residentMegabytes(reconciler.pid, "VmRSS"),
        "peak MB": residentMegabytes(reconciler.pid, "VmHWM"),
      }
    } finally {
      await writeFile(file, original)
      await reconciler.stop()
    }
  }
  return {
    name: `reconciler, ${count} tenants`,
    anchor: RECONCILER,
    warmups: 0,
    contestants: [{ name: RECONCILER, role: "ours", measure }],
    metrics: [{ name: "MB" }, { name: "peak MB" }],
    targets: isQuick ? [] : [{ metric: "MB", of: RECONCILER, atMost: 300 }],
  }
}

/** Of tenants' databases, right now. */
async function sessionsOf(fleet: Fleet): Promise<number> {
  const admin = new Client({ connectionString: fleet.postgres().superuserUri })
  await admin.connect()
  const { rowCount } = await admin.query("select from pg_stat_activity where datname like 'products-%'")
  await admin.end()
  return rowCount!
}

/** Linux alone tells; elsewhere it throws. */
const residentMegabytes = (pid: number, which: "VmRSS" | "VmHWM"): number => {
  const [, kilobytes] = new RegExp(`^${which}:\\s*(\\d+) kB$`, "m").exec(
    readFileSync(`/proc/${pid}/status`, "utf8"),
  )!
  return (Number(kilobytes) * 1024) / 1e6
}
