/** Small values that tests of plans, policies and status are written with. */
import type { LedgerEntry, ObservedSecret } from "../../reconciler/ledger.ts"
import type { Change } from "../../reconciler/action.ts"
import type { Desired, ObservedDatabase } from "../../reconciler/plan.ts"
import type { Policy } from "../../reconciler/policy.ts"
import { databaseName, type FleetId, secretName, TenantId } from "../../reconciler/tenant.ts"

export const FLEET: FleetId = "sample"
export const NOW = Date.parse("2027-06-01T00:00:00Z")
const DAY = 86_400_000

const [ada, bob, cleo] = [1, 2, 3].map((n) => TenantId.parse(`${n}0000000-0000-4000-8000-00000000000${n}`))
export const [ADA, BOB, CLEO] = [ada!, bob!, cleo!]

export const desired = (...tenants: Desired["tenants"]): Desired => ({
  fleet: FLEET,
  cells: ["cell-1"],
  tenants,
  held: new Set(),
  version: "0001:aa",
  gracePeriod: 30 * DAY,
})

export const entry = (id: TenantId, name: string, more: Partial<LedgerEntry> = {}): LedgerEntry => ({
  id,
  fleet: FLEET,
  name,
  cell: "cell-1",
  database: databaseName(name),
  state: "active",
  schema: "0001:aa",
  slot: "a",
  ...more,
})

export const retired = (id: TenantId, name: string, days: number): LedgerEntry =>
  entry(id, name, { state: "retired", retiredAt: new Date(NOW - days * DAY).toISOString() })

export const secretOf = (of: LedgerEntry): ObservedSecret => ({
  name: secretName(of.id),
  enabled: of.state === "active",
  entry: of,
  owner: of.fleet,
  changedAt: 0,
})

/** A database; `tenant`: whose marker of this fleet it carries, null for none. */
export const database = (name: string, tenant: TenantId | null, cell = "cell-1"): ObservedDatabase => ({
  cell,
  name,
  marker: tenant && { fleet: FLEET, tenant },
})

export const change = (
  kind: Change["kind"],
  tenant: TenantId,
  name: string,
  ...actions: Change["actions"]
): Change => ({ kind, tenant, name, cell: "cell-1", actions })

export const LENIENT: Policy = { deletion: "retire", maxRemovals: 100, maxRemovalShare: 1 }
