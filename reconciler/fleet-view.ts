/** The fleet as the status page shows it, live: what the passes tell, put together, and what has changed of it. */
import type { Action, Change } from "./action.ts"
import { callsMade } from "./calls.ts"
import type { FleetStatus } from "./controller.ts"
import type { Events, FleetEvent } from "./events.ts"
import { redact } from "./log.ts"
import type { PassEnd, PassListener } from "./pass-listener.ts"
import { type PlanSummary, summarisePlan } from "./plan-document.ts"
import type { Review } from "./reconcile.ts"
import type { TenantStatus } from "./status.ts"
import type { TenantId } from "./tenant.ts"

/** Everything but the tenants. Times are milliseconds since 1970. */
type FleetHead = Omit<FleetStatus, "tenants"> & {
  /** Grows with each change; of another process it means nothing. */
  revision: number
  fleet: string | undefined
  /** The pass that is under way. */
  pass: { id: string; at: number; changes: number; ended: number; running: Running[] } | undefined
  /** Whether another reconciler of the fleet is applying, so that this one waits. */
  isWaiting: boolean
  /** What the last pass cost: calls to each system. */
  cost: Record<string, number> | undefined
  /** When the next pass begins, unless a file changes before. */
  nextPass: number | undefined
  /** What the next pass would do, and what it would not; each list holds the first of as many as `counts` says. */
  plan: PlanView
  rollout: Rollout | undefined
  /** The files of the migrations, in order. */
  steps: string[]
}
type Running = {
  tenant: TenantId
  name: string
  kind: Change["kind"]
  action: Action["kind"]
  step: number
  steps: number
}
type PlanView = PlanSummary & {
  counts: {
    changes: number
    withheld: number
    stalls: number
    problems: number
    databases: number
    secrets: number
  }
}
/** How far the tenants are on their way to the newest schema. */
type Rollout = {
  version: string
  total: number
  there: number
  failed: number
  waiting: number
  stopped: string | undefined
}

/** What a page that has the revision before needs to have this one. */
export type FleetDelta = { head: FleetHead; changed: TenantStatus[]; removed: TenantId[] }

/** One tenant with all that is known of it. */
type TenantView = {
  tenant: TenantStatus
  events: FleetEvent[]
  steps: { name: string; isApplied: boolean }[]
  change: PlanSummary["changes"][number] | undefined
}

export type FleetView = Partial<PassListener> & {
  head: () => FleetHead
  tenants: () => TenantStatus[]
  tenant: (id: TenantId) => TenantView | undefined
  /** Returns how to stop hearing. */
  subscribe: (hear: (delta: FleetDelta) => void) => () => void
}

/** Longest list in `plan`; the page names the number of all. */
const SHOWN = 200
const RUNNING_SHOWN = 20
const EVENTS_SHOWN = 100
/** Milliseconds between two deltas at least. */
const BEAT = 250

/** `status` is the controller's, and is read when a pass tells that it has changed. */
export function viewFleet(status: FleetStatus, events: Events): FleetView {
  let revision = 0
  let review: Review | undefined
  let summary: PlanSummary | undefined
  let pass: FleetHead["pass"]
  let isWaiting = false
  let cost: FleetHead["cost"]
  let costBefore = callsMade()
  let nextPass: number | undefined
  const running = new Map<TenantId, Running>()
  /** Changes of the pass that are done, which the status does not know of before the pass ends. */
  const done = new Map<TenantId, Change>()
  const listeners = new Set<(delta: FleetDelta) => void>()
  let shown = new Map<TenantId, string>()
  let tenants: TenantStatus[] = []
  let isStale = true
  let timer: NodeJS.Timeout | undefined

  function refresh(): void {
    if (!isStale) return
    isStale = false
    const redactOnce = redactor()
    tenants = status.tenants.map((tenant) => {
      const change = done.get(tenant.id)
      if (!change) return { ...tenant, message: redactOnce(tenant.message) }
      const schema = change.actions.some(({ kind }) => kind === "migrate") ? status.version : tenant.schema
      return {
        ...tenant,
        schema,
        reason: "Applied",
        message: `${change.kind} is done; the next pass looks at it`,
      }
    })
  }

  const head = (): FleetHead => {
    refresh()
    const { tenants: _, ...rest } = status
    return {
      ...rest,
      problems: status.problems.slice(0, SHOWN).map(redact),
      lastError: status.lastError && redact(status.lastError),
      revision,
      fleet: review?.fleet.fleet,
      pass: pass && { ...pass, running: [...running.values()].slice(0, RUNNING_SHOWN) },
      isWaiting,
      cost,
      nextPass,
      plan: planView(summary && { ...summary, problems: status.problems }, done),
      rollout: rolloutOf(review, tenants),
      steps: review?.migrations.steps.map(({ name }) => name) ?? [],
    }
  }

  /** Tells what has changed, now or after the beat. */
  function publish(): void {
    isStale = true
    if (timer) return
    timer = setTimeout(() => {
      timer = undefined
      revision++
      if (listeners.size === 0) return
      refresh()
      const fresh = new Map(tenants.map((tenant) => [tenant.id, JSON.stringify(tenant)]))
      const changed = tenants.filter(({ id }) => shown.get(id) !== fresh.get(id))
      const removed = [...shown.keys()].filter((id) => !fresh.has(id))
      shown = fresh
      const delta = { head: head(), changed, removed }
      for (const hear of listeners) hear(delta)
    }, BEAT)
    timer.unref()
  }

  return {
    begins(id, at) {
      costBefore = callsMade()
      nextPass = undefined
      pass = { id, at, changes: 0, ended: 0, running: [] }
      publish()
    },
    planned(reviewed) {
      review = reviewed
      summary = summarisePlan(reviewed)
      done.clear()
      if (pass) pass.changes = reviewed.plan.changes.length
      publish()
    },
    progress(event) {
      if (event.kind === "action") {
        const { change, action } = event
        const { tenant, name, kind, actions } = change
        const step = (running.get(tenant)?.step ?? 0) + 1
        running.set(tenant, { tenant, name, kind, action, step, steps: actions.length })
      } else {
        const { change, error } = event.outcome
        running.delete(change.tenant)
        if (pass) pass.ended++
        if (!error) done.set(change.tenant, change)
      }
      publish()
    },
    ended({ at, ms, how }: PassEnd) {
      isWaiting = how === "lease-held"
      pass = undefined
      running.clear()
      const calls = callsMade()
      cost = Object.fromEntries(
        Object.entries(calls).map(([system, count]) => [
          system,
          count - costBefore[system as keyof typeof calls],
        ]),
      )
      nextPass = at + ms
      publish()
    },
    rests(until) {
      nextPass = until
      publish()
    },
    head,
    tenants: () => {
      refresh()
      return tenants
    },
    tenant(id) {
      refresh()
      const tenant = tenants.find((one) => one.id === id)
      if (!tenant) return undefined
      const number = tenant.schema?.slice(0, 4) ?? ""
      const steps =
        review?.migrations.steps.map(({ name }) => ({ name, isApplied: name.slice(0, 4) <= number })) ?? []
      const change = summary?.changes.find((one) => one.tenant === id)
      return {
        tenant,
        events: events.recent(EVENTS_SHOWN, id),
        steps,
        change: done.has(id) ? undefined : change,
      }
    },
    subscribe(hear) {
      listeners.add(hear)
      return () => void listeners.delete(hear)
    },
  }
}

/** Redacts each text once: in a large fleet thousands wait with the same words. */
function redactor(): (text: string) => string {
  const known = new Map<string, string>()
  return (text) => {
    const found = known.get(text) ?? redact(text)
    known.set(text, found)
    return found
  }
}

const NO_PLAN: PlanSummary = {
  changes: [],
  withheld: [],
  stalls: [],
  problems: [],
  unmanaged: { databases: [], secrets: [] },
}

const clean = <T extends { message: string }>(item: T): T => ({ ...item, message: redact(item.message) })

function planView(summary: PlanSummary | undefined, done: ReadonlyMap<TenantId, Change>): PlanView {
  const { changes, withheld, stalls, problems, unmanaged } = summary ?? NO_PLAN
  const left = changes.filter(({ tenant }) => !done.has(tenant as TenantId))
  return {
    changes: left.slice(0, SHOWN),
    withheld: withheld.slice(0, SHOWN).map(clean),
    stalls: stalls.slice(0, SHOWN).map(clean),
    problems: problems.slice(0, SHOWN).map(redact),
    unmanaged: {
      databases: unmanaged.databases.slice(0, SHOWN),
      secrets: unmanaged.secrets.slice(0, SHOWN),
    },
    counts: {
      changes: left.length,
      withheld: withheld.length,
      stalls: stalls.length,
      problems: problems.length,
      databases: unmanaged.databases.length,
      secrets: unmanaged.secrets.length,
    },
  }
}

const isLive = ({ state }: TenantStatus) => state === "active" || state === "suspended"

/** undefined where every tenant has every migration. */
function rolloutOf(review: Review | undefined, tenants: readonly TenantStatus[]): Rollout | undefined {
  if (!review) return undefined
  const { version } = review.migrations
  const live = tenants.filter(isLive)
  const there = live.filter(({ schema }) => schema === version).length
  if (there === live.length) return undefined
  const behind = live.filter(({ schema }) => schema !== version)
  const stopped = review.plan.withheld.find(({ reason }) => reason === "RolloutStopped")
  return {
    version,
    total: live.length,
    there,
    failed: behind.filter(({ condition }) => condition === "Stalled").length,
    waiting: behind.filter(({ reason }) => reason.startsWith("Rollout")).length,
    stopped: stopped && redact(stopped.message),
  }
}
