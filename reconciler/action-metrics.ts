/** What the metrics and the traces are told of each action. */
import { Counter, Histogram } from "prom-client"
import type { Action, Change } from "./action.ts"
import { SECONDS, tenantLabel } from "./metrics.ts"
import { inSpan } from "./spans.ts"

const actions = new Counter({
  name: "tenantry_actions_total",
  help: "Actions, each one write to one system, by kind and outcome (done or failed).",
  labelNames: ["kind", "outcome", "tenant"],
})
const seconds = new Histogram({
  name: "tenantry_action_duration_seconds",
  help: "How long actions took.",
  labelNames: ["kind"],
  buckets: SECONDS,
})

/** Performs one action of a change. */
export async function observeAction(
  { tenant, name, kind: change }: Change,
  { kind }: Action,
  perform: () => Promise<void>,
): Promise<void> {
  const stop = seconds.startTimer({ kind })
  let outcome = "failed"
  const attributes = {
    "tenantry.tenant.id": tenant,
    "tenantry.tenant.name": name,
    "tenantry.change": change,
    "tenantry.action": kind,
  }
  try {
    await inSpan(`action ${kind}`, { attributes }, perform)
    outcome = "done"
  } finally {
    stop()
    actions.inc({ kind, outcome, ...tenantLabel(tenant) })
  }
}
