/** A fleet that is nowhere but on the status page: what passes would tell of it, without any system. */
import type { AddressInfo } from "node:net"
import { entriesOf } from "../../reconciler/ledger.ts"
import { keepEvents } from "../../reconciler/events.ts"
import type { FleetStatus } from "../../reconciler/controller.ts"
import type { Authority } from "../../reconciler/environment.ts"
import { viewFleet } from "../../reconciler/fleet-view.ts"
import { createLogger } from "../../reconciler/log.ts"
import { tellAll } from "../../reconciler/pass-listener.ts"
import { watchReadiness } from "../../reconciler/readiness.ts"
import type { Review } from "../../reconciler/reconcile.ts"
import { openAccess } from "../../reconciler/status-access.ts"
import { serveStatus } from "../../reconciler/status-server.ts"
import { statusOf } from "../../reconciler/status.ts"
import { TenantId } from "../../reconciler/tenant.ts"
import { change, entry, FLEET, retired, secretOf } from "../reconciler/samples.ts"

export const idOf = (n: number): TenantId =>
  TenantId.parse(`${n.toString(16).padStart(8, "0")}-0000-4000-8000-000000000000`)
export const nameOf = (n: number): string => `Tenant-${String(n).padStart(5, "0")}`

/** Neon's key of whoever may look without a token of the issuer. */
export const API_KEY = "napi_made_up_0123456789"
const VERSION = "0003:cc"

/**
 * What a pass finds in a fleet of so many: every 100th is retired, every 50th has yet to be migrated, the very first
 * waits for an approval, the second is Stalled.
 */
export function reviewOf(tenants: number, more: Partial<Review["plan"]> = {}, named = nameOf): Review {
  const numbers = Array.from({ length: tenants }, (_, n) => n)
  const secrets = numbers.map((n) => {
    if (n % 100 === 99) return secretOf({ ...retired(idOf(n), named(n), 3), schema: "0002:bb" })
    return {
      ...secretOf(entry(idOf(n), named(n), { schema: n % 50 === 25 ? "0002:bb" : VERSION })),
      issuedAt: Date.now() - 12 * 86_400_000,
    }
  })
  const waiting = numbers
    .filter((n) => n % 50 === 25)
    .map((n) => change("migrate", idOf(n), named(n), { kind: "migrate", database: "x" }))
  return {
    read: {
      tenants: numbers
        .filter((n) => n % 100 !== 99)
        .map((n) => ({ id: idOf(n), name: named(n), file: `tenants/${n}.yaml` })),
      problems: [],
      held: new Set(),
    },
    fleet: { fleet: FLEET, deletion: "retire", gracePeriodDays: 30, maxRemovals: 5, maxRemovalShare: 0.5 },
    migrations: {
      steps: ["0001_products.sql", "0002_users.sql", "0003_carts.sql"].map((name) => ({
        name,
      })) as unknown as Review["migrations"]["steps"],
      version: VERSION,
      seeds: new Map(),
    },
    cells: ["main"],
    observed: { databases: [], secrets },
    plan: {
      changes: [],
      withheld: [
        {
          change: change("retire", idOf(0), named(0)),
          reason: "Protected",
          message: "the ledger says that this tenant is protected",
          approve: "retire",
        },
        ...waiting.map((one) => ({
          change: one,
          reason: "RolloutWaits",
          message: "waits for its wave",
          isStalled: false,
        })),
      ],
      stalls: [
        {
          tenant: idOf(1),
          name: named(1),
          reason: "DatabaseMissing",
          message: "Neon has no such database",
          approve: "recreate",
        },
      ],
      unmanaged: { databases: [{ cell: "main", name: "neondb" }], secrets: [] },
      ...more,
    },
    retryAt: undefined,
  }
}

/** Serves the status of such a fleet. `pass` is one pass that finds this. */
export async function serveMadeUp(authority: Authority | undefined = { kind: "off" }) {
  const status: FleetStatus = { tenants: [], problems: [], lastPass: undefined, lastError: undefined }
  const logged: string[] = []
  const log = createLogger("reconciler", (line) => logged.push(line))
  const events = keepEvents(log, Date.now)
  const view = viewFleet(status, events)
  const readiness = watchReadiness(60_000, Date.now)
  const access = openAccess(authority, API_KEY, Date.now)
  const server = await serveStatus(0, "127.0.0.1", { view, events, access, readiness })
  const listener = tellAll(events, view, readiness)
  let passes = 0

  const update = (review: Review) => {
    const { fleet, read, observed, plan, migrations } = review
    const findings = {
      fleet: fleet.fleet,
      tenants: read.tenants,
      held: read.held,
      cells: ["main"],
      observed,
      plan,
      errors: new Map(),
    }
    status.tenants = statusOf(findings, status.tenants, Date.now())
    status.version = migrations.version
  }
  /** The first half of a pass. */
  const begin = (review: Review) => {
    listener.begins(`pass-${++passes}`, Date.now())
    update(review)
    listener.planned(review)
  }
  const end = (review: Review) => {
    update(review)
    status.lastPass = { at: Date.now(), ms: 12, changes: review.plan.changes.length, failures: 0 }
    listener.ended({ id: `pass-${passes}`, at: Date.now(), ms: 12, how: "done" })
    listener.rests(Date.now() + 60_000)
  }
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    logged,
    listener,
    events,
    status,
    begin,
    end,
    pass: (review: Review) => {
      begin(review)
      end(review)
    },
    entries: (review: Review) => entriesOf(review.observed.secrets, FLEET),
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}
