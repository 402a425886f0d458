/** What a person sees of each tenant: one of three conditions, why, and since when. */
import { hostsOf } from "./hosts.ts"
import { type ApprovalVerb, entriesOf } from "./ledger.ts"
import { expectedDatabase } from "./lifecycle.ts"
import type { Observed } from "./plan.ts"
import type { Plan } from "./policy.ts"
import type { FleetId, Tenant, TenantId } from "./tenant.ts"

/** Ready: served as declared. Reconciling: work is under way or will be tried again. Stalled: a person must act. */
type Condition = "Ready" | "Reconciling" | "Stalled"

export type TenantStatus = {
  id: TenantId
  name: string
  /** What the ledger says: reserved, active, suspended, retired, purging; "absent" before there is an entry. */
  state: string
  /** The Neon project that its database is in, where more than one is configured. */
  cell?: string | undefined
  database: string | undefined
  schema: string | undefined
  condition: Condition
  /** When the tenant's credential was made; milliseconds since 1970. */
  issuedAt?: number | undefined
  isProtected?: boolean | undefined
  /** At which the API serves it, by the ledger. */
  hosts?: readonly string[] | undefined
  /** In CamelCase, for programs. */
  reason: string
  /** For people: what is the matter and what to do. */
  message: string
  /** What `tenantry approve` takes, where the tenant waits for a person. */
  approve?: ApprovalVerb | undefined
  /** When the condition or its reason last changed; milliseconds since 1970. */
  since: number
}

/** What one pass learnt. `errors`: tenants whose change failed; `isTerminal`: trying again cannot mend it. */
export type Findings = {
  fleet: FleetId
  tenants: readonly Tenant[]
  /** Tenants that a faulty file names. */
  held: ReadonlySet<TenantId>
  /** The names of the configured cells. */
  cells: readonly string[]
  observed: Observed
  plan: Plan
  errors: ReadonlyMap<TenantId, { reason: string; message: string; isTerminal: boolean }>
}

/** The status of every tenant that has a file or an entry in the ledger, sorted by name. */
export function statusOf(findings: Findings, previous: readonly TenantStatus[], now: number): TenantStatus[] {
  const { fleet, tenants, held, cells, observed, plan, errors } = findings
  const entries = new Map(entriesOf(observed.secrets, fleet).map((entry) => [entry.id, entry] as const))
  const issued = new Map(observed.secrets.map(({ entry, issuedAt }) => [entry?.id, issuedAt] as const))
  const declared = new Map(tenants.map((tenant) => [tenant.id, tenant]))
  const stalls = new Map(plan.stalls.map((stall) => [stall.tenant, stall]))
  const withheld = new Map(plan.withheld.map((item) => [item.change.tenant, item]))
  const changes = new Map(plan.changes.map((change) => [change.tenant, change]))
  const before = new Map(previous.map((status) => [status.id, status]))

  const verdict = (id: TenantId): Pick<TenantStatus, "condition" | "reason" | "message" | "approve"> => {
    if (held.has(id)) {
      const message = "its file has faults, so it is left as it is: mend the file, as tenantry validate says"
      return { condition: "Stalled", reason: "FileRefused", message }
    }
    const error = errors.get(id)
    const waiting = stalls.get(id) ?? withheld.get(id)
    if (waiting) {
      const { reason, message, approve } = waiting
      const isTurn = "isStalled" in waiting && !(waiting.isStalled ?? true)
      return {
        condition: isTurn ? "Reconciling" : "Stalled",
        reason,
        message,
        ...(approve ? { approve } : {}),
      }
    }
    if (error?.isTerminal) return { condition: "Stalled", reason: error.reason, message: error.message }
    if (error) return { condition: "Reconciling", reason: error.reason, message: error.message }
    const change = changes.get(id)
    if (change)
      return { condition: "Reconciling", reason: "Applying", message: `${change.kind} is under way` }
    const state = entries.get(id)?.state
    if (state === "retired")
      return { condition: "Ready", reason: "Retired", message: "kept until its grace period ends" }
    if (state === "suspended")
      return { condition: "Ready", reason: "Suspended", message: "kept, and served to nobody" }
    return { condition: "Ready", reason: "Served", message: "" }
  }

  return [...new Set([...declared.keys(), ...entries.keys(), ...stalls.keys()])]
    .map((id): TenantStatus => {
      const entry = entries.get(id)
      const found = verdict(id)
      const earlier = before.get(id)
      const isSame = earlier?.condition === found.condition && earlier.reason === found.reason
      return {
        id,
        name: declared.get(id)?.name ?? entry?.name ?? stalls.get(id)?.name ?? id,
        state: entry?.state ?? "absent",
        ...(entry && cells.length > 1 ? { cell: entry.cell } : {}),
        database: entry && expectedDatabase(entry),
        schema: entry?.schema,
        issuedAt: entry && entry.state !== "reserved" ? issued.get(id) : undefined,
        isProtected: entry?.protected,
        hosts: entry && hostsOf(entry).length > 0 ? hostsOf(entry) : undefined,
        ...found,
        since: isSame ? earlier.since : now,
      }
    })
    .toSorted((a, b) => a.name.localeCompare(b.name))
}
