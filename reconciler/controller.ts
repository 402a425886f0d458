/** When the next pass runs: at once when a file changes, soon after a failure, and else at an interval. */
import { randomUUID } from "node:crypto"
import { TerminalError, TransientError } from "./errors.ts"
import { type Logger, withLogFields } from "./log.ts"
import type { PassListener } from "./pass-listener.ts"
import { reconcile, type Review, type Sources } from "./reconcile.ts"
import { inSpan } from "./spans.ts"
import { statusOf, type TenantStatus } from "./status.ts"
import { createWakeUp } from "./wake-up.ts"
import type { World } from "./world.ts"
import { formatProblem } from "./yaml-file.ts"

/** What the status page shows. Times are milliseconds since 1970. */
export type FleetStatus = {
  tenants: TenantStatus[]
  problems: string[]
  /** The schema that the migrations make; undefined before the first look. */
  version?: string
  lastPass: { at: number; ms: number; changes: number; failures: number } | undefined
  /** Why the last pass could not be made; undefined where it was. */
  lastError: string | undefined
}

const FIRST_BACKOFF = 1000
const LAST_BACKOFF = 60_000

/** Runs passes until `signal` aborts, and keeps `status` true. Never throws. */
export async function control(
  sources: Sources,
  world: World,
  options: {
    interval: number
    polling: number
    signal: AbortSignal
    log: Logger
    status: FleetStatus
    listener: PassListener
  },
): Promise<void> {
  const { interval, polling, signal, log, status, listener } = options
  const { tenantsDir, fleetFile, migrationsDir } = sources
  const onError = (error: unknown) => log.error({ error: String(error) }, "watching failed")
  const wakeUp = createWakeUp([tenantsDir, fleetFile, migrationsDir], { polling, onError })
  let failures = 0
  let isSettled = false
  while (!signal.aborted) {
    wakeUp.arm()
    const id = randomUUID()
    const { next, after } = await withLogFields({ pass: id }, () =>
      inSpan("pass", { attributes: { "tenantry.pass": id }, isRoot: true }, () =>
        pass(sources, world, { id, log, listener, signal, status }),
      ),
    )
    failures = next === "backoff" ? failures + 1 : 0
    if (next === "again" || signal.aborted) continue
    if (!isSettled && status.lastError === undefined) log.info("first passes are over")
    isSettled ||= status.lastError === undefined
    const backoff = Math.min(FIRST_BACKOFF * 2 ** (failures - 1), LAST_BACKOFF) * (0.75 + Math.random() / 2)
    const pause = next === "backoff" ? (after ?? backoff) : (after ?? interval)
    const rest = Math.min(pause, interval)
    listener.rests(Date.now() + rest)
    await wakeUp.wait(rest, signal)
  }
  await wakeUp.close()
}

/**
 * One pass with its logs. "again": something was done, so look whether more is to do; "rest": all is as declared.
 * `after`: milliseconds, where it is known how long to wait.
 */
async function pass(
  sources: Sources,
  world: World,
  {
    id,
    log,
    listener,
    signal,
    status,
  }: { id: string; log: Logger; listener: PassListener; signal: AbortSignal; status: FleetStatus },
): Promise<{ next: "again" | "backoff" | "rest"; after?: number | undefined }> {
  const at = Date.now()
  listener.begins(id, at)
  const ended = (how: "done" | "incomplete" | "failed" | "lease-held") =>
    listener.ended({ id, at, ms: Date.now() - at, how })
  try {
    const { review, outcomes } = await reconcile(sources, world, {
      signal,
      planned: (planned) => {
        update(status, planned, new Map())
        listener.planned(planned)
      },
      progress: listener.progress,
    })
    const failed = outcomes.filter(({ error }) => error !== undefined)
    const errors = failed.map(({ change, error }) => {
      const { reason, message } = error!
      return [change.tenant, { reason, message, isTerminal: error instanceof TerminalError }] as const
    })
    update(status, review, new Map(errors))
    const ms = Date.now() - at
    status.lastPass = { at, ms, changes: outcomes.length, failures: failed.length }
    status.lastError = undefined
    const count = (condition: string) =>
      status.tenants.filter((tenant) => tenant.condition === condition).length
    const tenants = { ready: count("Ready"), reconciling: count("Reconciling"), stalled: count("Stalled") }
    log.info({ ms, changes: outcomes.length, failures: failed.length, ...tenants }, "pass done")
    ended(failed.length > 0 ? "incomplete" : "done")
    if (failed.length > 0) return { next: "backoff" }
    const after = review.retryAt === undefined ? undefined : Math.max(0, review.retryAt - Date.now())
    return outcomes.length > 0 ? { next: "again" } : { next: "rest", after }
  } catch (error) {
    if (error instanceof TransientError && error.reason === "LeaseHeld") {
      log.info({ retryAfter: error.retryAfter }, "another reconciler holds the lease")
      ended("lease-held")
      return { next: "backoff", after: error.retryAfter }
    }
    const isOurs = error instanceof TerminalError || error instanceof TransientError
    status.lastError = error instanceof Error ? error.message : String(error)
    log.error({ reason: isOurs ? error.reason : "Unexpected", error: status.lastError }, "pass failed")
    ended("failed")
    return { next: "backoff" }
  }
}

function update(
  status: FleetStatus,
  { read, fleet, migrations, cells, observed, plan }: Review,
  errors: Parameters<typeof statusOf>[0]["errors"],
): void {
  const { tenants, held } = read
  const findings = { fleet: fleet.fleet, tenants, held, cells, observed, plan, errors }
  status.tenants = statusOf(findings, status.tenants, Date.now())
  const faults = migrations.fault ? [migrations.fault.message] : []
  status.problems = [...read.problems.map(formatProblem), ...faults]
  if (migrations.fault) delete status.version
  else status.version = migrations.version
}
