/** What a pass says in the log: constant messages with fields. What stays as it was is said once, not at each pass. */
import type { Progress } from "./apply.ts"
import type { Logger } from "./log.ts"
import type { Review } from "./reconcile.ts"
import { formatProblem } from "./yaml-file.ts"

export type PassLog = { planned: (review: Pick<Review, "read" | "plan">) => void; progress: Progress }

export function createPassLog(log: Logger): PassLog {
  let told = new Set<string>()
  return {
    planned({ read, plan }) {
      const telling = new Set<string>()
      const once = (level: "warn" | "error", message: string, fields: object) => {
        const line = `${message} ${JSON.stringify(fields)}`
        telling.add(line)
        if (!told.has(line)) log[level](fields, message)
      }
      for (const problem of read.problems) {
        once("error", "file refused", { ...problem, problem: formatProblem(problem) })
      }
      for (const { tenant, name, reason, message, approve } of plan.stalls) {
        once("error", "tenant stalled", { tenant, tenantName: name, reason, error: message, approve })
      }
      for (const { change, reason, message, approve } of plan.withheld) {
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
      log.info({ changes }, "plan made")
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
      if (error) log.error({ ...fields, reason: error.reason, error: error.message }, "change failed")
      else log.info(fields, "change done")
    },
  }
}
