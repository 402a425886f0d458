/** Plans, outcomes and status as lines for people. */
import type { Outcome } from "./apply.ts"
import type { FleetStatus } from "./controller.ts"
import type { Change } from "./action.ts"
import type { Review } from "./reconcile.ts"
import { formatProblem } from "./yaml-file.ts"

const SIGN: Record<Change["kind"], string> = {
  create: "+",
  restore: "+",
  rename: "~",
  migrate: "~",
  update: "~",
  repair: "~",
  rotate: "~",
  suspend: "~",
  resume: "~",
  retire: "-",
  purge: "-",
}

const describe = ({ kind, name, actions }: Change): string =>
  `${SIGN[kind]} ${kind} ${name} (${actions.map((action) => action.kind).join(" > ")})`

const remedy = (tenant: string, verb: string | undefined) =>
  verb ? `; to allow it once: npx tenantry approve ${tenant} ${verb}` : ""

/** One line per change, removals first, then what waits for a person and why. */
export function renderPlan({ read, migrations, plan }: Pick<Review, "read" | "migrations" | "plan">): string {
  const removalsFirst = plan.changes.toSorted(
    (a, b) => Number(SIGN[b.kind] === "-") - Number(SIGN[a.kind] === "-"),
  )
  const { databases, secrets } = plan.unmanaged
  return [
    ...read.problems.map((problem) => `! ${formatProblem(problem)}`),
    ...(migrations.fault ? [`! ${migrations.fault.message}`] : []),
    ...removalsFirst.map(describe),
    ...plan.withheld.map(
      ({ change, reason, message, approve }) =>
        `! withheld: ${change.kind} ${change.name}: ${reason}: ${message}${remedy(change.tenant, approve)}`,
    ),
    ...plan.stalls.map(
      ({ tenant, name, reason, message, approve }) =>
        `! stalled: ${name}: ${reason}: ${message}${remedy(tenant, approve)}`,
    ),
    ...(databases.length > 0 ? [`unmanaged databases, never touched: ${databases.join(", ")}`] : []),
    ...(secrets.length > 0 ? [`unmanaged secrets, never touched: ${secrets.join(", ")}`] : []),
    `plan: ${plan.changes.length} to change, ${plan.withheld.length} withheld, ${plan.stalls.length} stalled, ${read.problems.length} faults in files`,
  ].join("\n")
}

export const renderOutcome = ({ change, ms, error }: Outcome): string =>
  error
    ? `✗ ${change.kind} ${change.name}: ${error.reason}: ${error.message}`
    : `✓ ${change.kind} ${change.name} in ${(ms / 1000).toFixed(1)} s`

/** "0004", or "0004 < 0005" where a migration is pending. */
function renderSchema(schema: string | undefined, state: string, version: string | undefined): string {
  if (schema === undefined) return "-"
  const [now = ""] = schema.split(/[: ]/)
  const isPending = version !== undefined && schema !== version && state !== "retired"
  return isPending ? `${now} < ${version.slice(0, 4)}` : now
}

/** A table of tenants; `now` in milliseconds since 1970. */
export function renderStatus({ tenants, problems, lastError, version }: FleetStatus, now: number): string {
  const rows = tenants.map(({ name, condition, reason, state, schema, since }) => [
    name,
    condition,
    reason,
    state,
    renderSchema(schema, state, version),
    `${Math.round((now - since) / 1000)} s`,
  ])
  const table = [["NAME", "CONDITION", "REASON", "STATE", "SCHEMA", "SINCE"], ...rows]
  const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)))
  const lines = table.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join("  ")
      .trimEnd(),
  )
  const troubles = tenants
    .filter(({ condition }) => condition !== "Ready")
    .map(({ name, message }) => `${name}: ${message}`)
  return [...lines, ...troubles, ...problems, ...(lastError ? [`last pass failed: ${lastError}`] : [])].join(
    "\n",
  )
}
