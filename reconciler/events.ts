/** What happened to the tenants, and why: the newest are kept in memory, and whoever listens hears of each. */
import { randomUUID } from "node:crypto"
import type { ChangeKind } from "./action.ts"
import type { ReadTenants } from "./desired.ts"
import { type Logger, redact } from "./log.ts"
import type { PassListener } from "./pass-listener.ts"
import type { Review } from "./reconcile.ts"
import { passOnTrace } from "./spans.ts"
import type { TenantId } from "./tenant.ts"
import { formatProblem } from "./yaml-file.ts"

const DONE = {
  create: "tenant.created",
  restore: "tenant.restored",
  rename: "tenant.renamed",
  migrate: "tenant.migrated",
  update: "tenant.updated",
  repair: "tenant.repaired",
  rotate: "tenant.rotated",
  suspend: "tenant.suspended",
  resume: "tenant.resumed",
  retire: "tenant.retired",
  purge: "tenant.purged",
} as const satisfies Record<ChangeKind, string>

type EventType =
  | (typeof DONE)[ChangeKind]
  | "tenant.failed"
  | "tenant.withheld"
  | "tenant.stalled"
  | "file.added"
  | "file.changed"
  | "file.removed"
  | "file.refused"

/** `why` is for people. `tenant` is undefined where a file names nobody. `at`: milliseconds since 1970. */
export type FleetEvent = {
  id: string
  at: number
  type: EventType
  tenant: TenantId | undefined
  name: string
  fleet: string
  why: string
  /** A condition's reason, in CamelCase. */
  reason?: string
  pass: string
  /** Of the pass, where traces are made (W3C Trace Context). */
  traceparent?: string
}

export type Events = Partial<PassListener> & {
  /** The newest first, of one tenant or of all. */
  recent: (limit: number, tenant?: TenantId) => FleetEvent[]
  subscribe: (hear: (event: FleetEvent) => void) => void
}

/** How many events are kept; some 3 MB. */
const KEPT = 10_000

const why: Record<ChangeKind, (review: Review) => string> = {
  create: () => "its file declares it",
  restore: () => "its file is back",
  rename: () => "its file has another name",
  migrate: ({ migrations }) => `the migrations have come to ${migrations.version.slice(0, 4)}`,
  update: () => "its file and the ledger differed",
  repair: () => "its secret or its entry in the ledger was not as it should be",
  rotate: () => "a new credential was asked for",
  suspend: () => "its file says suspended",
  resume: () => "its file no longer says suspended",
  retire: () => "its file is gone",
  purge: () => "its grace period is over, or a person approved it",
}

type Files = Map<TenantId, ReadTenants["tenants"][number]>

/** Makes events of what passes find and do. Changes of files are logged here; the pass's log has the rest. */
export function keepEvents(log: Logger, now: () => number): Events {
  let kept: FleetEvent[] = []
  const listeners: ((event: FleetEvent) => void)[] = []
  let pass = ""
  let review: Review | undefined
  /** As the review before found them; undefined at the first one, which has nothing to compare with. */
  let files: Files | undefined
  /** What was said and still holds, so that it is said once. */
  let told = new Set<string>()
  const failing = new Map<TenantId, string>()

  function tell(event: Pick<FleetEvent, "type" | "tenant" | "name" | "why" | "reason">): void {
    const fleet = review!.fleet.fleet
    const whole: FleetEvent = { ...event, fleet, why: redact(event.why), id: randomUUID(), at: now(), pass }
    passOnTrace((header, value) => {
      if (header === "traceparent") whole.traceparent = value
    })
    kept.push(whole)
    if (kept.length > 2 * KEPT) kept = kept.slice(-KEPT)
    for (const hear of listeners) hear(whole)
  }

  function tellOfFiles({ read }: Review): void {
    const found: Files = new Map(read.tenants.map((tenant) => [tenant.id, tenant]))
    const before = files
    files = found
    if (!before) return
    for (const [tenant, declared] of found) {
      const old = before.get(tenant)
      if (old === declared) continue
      const { file, name, ...rest } = declared
      if (old === undefined) {
        log.info({ tenant, tenantName: name, file }, "file added")
        tell({ type: "file.added", tenant, name, why: `${file} declares it` })
        continue
      }
      const { file: oldFile, name: oldName, ...oldRest } = old
      const changed = [
        ...(name === oldName ? [] : [`name: ${oldName} is now ${name}`]),
        ...(file === oldFile ? [] : [`${oldFile} is now ${file}`]),
        ...(JSON.stringify(rest) === JSON.stringify(oldRest) ? [] : ["other keys changed"]),
      ]
      if (changed.length === 0) continue
      log.info({ tenant, tenantName: name, file, changed }, "file changed")
      tell({ type: "file.changed", tenant, name, why: changed.join(", ") })
    }
    for (const [tenant, { file, name }] of before) {
      if (found.has(tenant) || read.held.has(tenant)) continue
      log.info({ tenant, tenantName: name, file }, "file removed")
      tell({ type: "file.removed", tenant, name, why: `${file} no longer declares it` })
    }
  }

  /** Every finding that is new since the last pass. */
  function tellOfFindings({ read, migrations: { fault }, plan }: Review): void {
    const telling = new Set<string>()
    const once = (event: Parameters<typeof tell>[0]) => {
      const key = `${event.type} ${event.tenant} ${event.why}`
      telling.add(key)
      if (!told.has(key)) tell(event)
    }
    for (const problem of read.problems)
      once({ type: "file.refused", tenant: undefined, name: problem.file, why: formatProblem(problem) })
    if (fault)
      once({
        type: "file.refused",
        tenant: undefined,
        name: "migrations",
        reason: fault.reason,
        why: fault.message,
      })
    for (const { tenant, name, reason, message } of plan.stalls)
      once({ type: "tenant.stalled", tenant, name, reason, why: message })
    for (const { change, reason, message, isStalled } of plan.withheld) {
      // Whoever waits for a turn in a rollout has nothing happen to it.
      if (isStalled === false) continue
      const { tenant, name, kind } = change
      once({ type: "tenant.withheld", tenant, name, reason, why: `${kind}: ${message}` })
    }
    told = telling
  }

  return {
    begins: (id) => void (pass = id),
    planned(reviewed) {
      review = reviewed
      tellOfFiles(reviewed)
      tellOfFindings(reviewed)
    },
    progress(event) {
      if (event.kind !== "change") return
      const { change, error } = event.outcome
      const { tenant, name, kind } = change
      if (!error) {
        failing.delete(tenant)
        tell({ type: DONE[kind], tenant, name, why: why[kind](review!) })
        return
      }
      const said = `${kind}: ${error.message}`
      if (failing.get(tenant) === said) return
      failing.set(tenant, said)
      tell({ type: "tenant.failed", tenant, name, reason: error.reason, why: said })
    },
    recent: (limit, tenant) => {
      const all = kept.slice(-KEPT)
      const found = tenant === undefined ? all : all.filter((event) => event.tenant === tenant)
      return found.slice(-limit).toReversed()
    },
    subscribe: (hear) => void listeners.push(hear),
  }
}
