/** What the metrics are told of passes, and of the fleet as the last pass has seen it. */
import { Counter, Gauge, Histogram } from "prom-client"
import type { FleetStatus } from "./controller.ts"
import { isRetired } from "./ledger.ts"
import { namesTenants, SECONDS, tenantLabel } from "./metrics.ts"
import type { PassListener } from "./pass-listener.ts"
import type { Review } from "./reconcile.ts"
import type { TenantStatus } from "./status.ts"

const passes = new Counter({
  name: "tenantry_passes_total",
  help: "Passes by outcome: done, incomplete (some change failed), failed (no pass could be made), lease-held (another reconciler is at it).",
  labelNames: ["outcome"],
})
const passSeconds = new Histogram({
  name: "tenantry_pass_duration_seconds",
  help: "How long passes took.",
  buckets: SECONDS,
})
const lastSuccess = new Gauge({
  name: "tenantry_pass_last_success_timestamp_seconds",
  help: "When the last pass that saw the whole world ended; seconds since 1970, 0 before the first.",
})
const changes = new Counter({
  name: "tenantry_changes_total",
  help: "Changes, each all that was to be done for one tenant, by kind and outcome (done or failed).",
  labelNames: ["kind", "outcome", "tenant"],
})
const pending = new Gauge({
  name: "tenantry_changes_pending",
  help: "Changes of the running pass that have not ended.",
})
const withheld = new Gauge({
  name: "tenantry_changes_withheld",
  help: "Changes that are withheld, by reason; Rollout… are migrations that wait for their turn.",
  labelNames: ["reason"],
})
const tenants = new Gauge({
  name: "tenantry_tenants",
  help: "Tenants by condition and by their state in the ledger.",
  labelNames: ["condition", "state"],
})
const tenantCondition = new Gauge({
  name: "tenantry_tenant_condition",
  help: "1 for the condition that the tenant has; only where metrics may name tenants.",
  labelNames: ["tenant", "name", "condition"],
})
const versions = new Gauge({
  name: "tenantry_tenants_by_schema",
  help: "Tenants that are not retired, by the number of their newest migration.",
  labelNames: ["schema"],
})
const unmigrated = new Gauge({
  name: "tenantry_migrations_pending",
  help: "Tenants that are not retired and lack a migration.",
})
const stopped = new Gauge({
  name: "tenantry_rollout_stopped",
  help: "1 while too many tenants have failed for the rollout of migrations to go on.",
})
const faults = new Gauge({
  name: "tenantry_file_faults",
  help: "Faults in the tenants' files, and one where the migrations' cannot be trusted.",
})
const cellDatabases = new Gauge({
  name: "tenantry_cell_databases",
  help: "Databases that Neon lists, by cell; one branch takes 500.",
  labelNames: ["cell"],
})
const unmanaged = new Gauge({
  name: "tenantry_unmanaged",
  help: "What is there and not this fleet's, by kind (database or secret).",
  labelNames: ["kind"],
})

// A series that is there from the start shows its first increase.
for (const outcome of ["done", "incomplete", "failed", "lease-held"]) passes.inc({ outcome }, 0)

/** Keeps the metrics true while passes are made; `status` is the controller's. */
export function measurePasses(status: FleetStatus): Partial<PassListener> {
  return {
    planned(review) {
      pending.set(review.plan.changes.length)
      setPlan(review)
      setTenants(status)
    },
    progress(event) {
      if (event.kind !== "change") return
      const { change, error } = event.outcome
      pending.dec()
      changes.inc({ kind: change.kind, outcome: error ? "failed" : "done", ...tenantLabel(change.tenant) })
    },
    ended({ at, ms, how }) {
      passes.inc({ outcome: how })
      passSeconds.observe(ms / 1000)
      pending.set(0)
      if (how === "done" || how === "incomplete") lastSuccess.set((at + ms) / 1000)
      setTenants(status)
    },
  }
}

function setPlan({ read, migrations, cells, observed, plan }: Review): void {
  const counts = new Map(cells.map((cell) => [cell, 0]))
  for (const { cell } of observed.databases) counts.set(cell, counts.get(cell)! + 1)
  for (const [cell, count] of counts) cellDatabases.set({ cell }, count)
  withheld.reset()
  for (const [reason, { length }] of Map.groupBy(plan.withheld, (item) => item.reason))
    withheld.set({ reason }, length)
  stopped.set(plan.withheld.some(({ reason }) => reason === "RolloutStopped") ? 1 : 0)
  faults.set(read.problems.length + (migrations.fault ? 1 : 0))
  unmanaged.set({ kind: "database" }, plan.unmanaged.databases.length)
  unmanaged.set({ kind: "secret" }, plan.unmanaged.secrets.length)
}

function setTenants({ tenants: all, version }: FleetStatus): void {
  tenants.reset()
  for (const condition of ["Ready", "Reconciling", "Stalled"]) tenants.set({ condition, state: "active" }, 0)
  for (const [condition, some] of Map.groupBy(all, (tenant) => tenant.condition))
    for (const [state, { length }] of Map.groupBy(some, (tenant) => tenant.state))
      tenants.set({ condition, state }, length)
  const living = all.filter((tenant) => !isRetired(tenant))
  versions.reset()
  for (const [schema, { length }] of Map.groupBy(living, numberOf)) versions.set({ schema }, length)
  unmigrated.set(living.filter(({ schema }) => schema !== version).length)
  if (!namesTenants()) return
  tenantCondition.reset()
  for (const { id, name, condition } of all) tenantCondition.set({ tenant: id, name, condition }, 1)
}

/** "0004", of "0004:9f86…" or "0003:… not 0004:…". */
const numberOf = ({ schema = "none" }: TenantStatus): string => schema.split(/[: ]/)[0]!
