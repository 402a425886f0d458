/** What a pass says in the log: constant messages with fields. What stays as it was is said once, not at each pass. */
import type { Logger } from "./log.ts"
import type { PassListener } from "./pass-listener.ts"
import type { TenantId } from "./tenant.ts"
import { formatProblem } from "./yaml-file.ts"

export function createPassLog(log: Logger): Pick<PassListener, "planned" | "progress"> {
  let told = new Set<string>()
  /** What failed, as it was said, by tenant. */
  const failing = new Map<TenantId, string>()
  let lastPlan = ""
  return {
    planned({ read, migrations: { fault }, plan }) {
      const telling = new Set<string>()
      const once = (level: "info" | "warn" | "error", message: string, fields: object) => {
        const line = `${message} ${JSON.stringify(fields)}`
        telling.add(line)
        if (!told.has(line)) log[level](fields, message)
      }
      for (const problem of read.problems) {
        once("error", "file refused", { ...problem, problem: formatProblem(problem) })
      }
      if (fault) once("error", "migrations refused", { reason: fault.reason, error: fault.message })
      for (const { tenant, name, reason, message, approve } of plan.stalls) {
        once("error", "tenant stalled", { tenant, tenantName: name, reason, error: message, approve })
      }
      const turns = Map.groupBy(
        plan.withheld.filter(({ isStalled }) => isStalled === false),
        ({ reason }) => reason,
      )
      // One line for all: in a large fleet thousands wait for their turn.
      for (const [reason, those] of turns) {
        once("info", "migrations wait", { reason, tenants: those.length, why: those[0]!.message })
      }
      for (const { change, reason, message, approve, isStalled } of plan.withheld) {
        if (isStalled === false) continue
        const { tenant, name, kind } = change
        once("warn", "change withheld", {
          tenant,
          tenantName: name,
          change: kind,
          reason,
          error: message,
          approve,
        })
      }
      told = telling
      if (plan.changes.length === 0) return
      const changes = plan.changes.map(({ tenant, name, kind, actions }) => ({
        tenant,
        tenantName: name,
        change: kind,
        actions: actions.map((action) => action.kind),
      }))
      const line = JSON.stringify(changes)
      // The same again, because it failed: that was said.
      if (line !== lastPlan || failing.size === 0) log.info({ changes }, "plan made")
      lastPlan = line
    },

    progress(event) {
      if (event.kind === "action") {
        const { change, action, ms } = event
        log.info(
          { tenant: change.tenant, tenantName: change.name, change: change.kind, action, ms },
          "action done",
        )
        return
      }
      const { change, ms, error } = event.outcome
      const fields = { tenant: change.tenant, tenantName: change.name, change: change.kind, ms }
      if (!error) {
        failing.delete(change.tenant)
        log.info(fields, "change done")
        return
      }
      const line = `${change.kind} ${error.reason} ${error.message}`
      const level = failing.get(change.tenant) === line ? "debug" : "error"
      failing.set(change.tenant, line)
      log[level]({ ...fields, reason: error.reason, error: error.message }, "change failed")
    },
  }
}
