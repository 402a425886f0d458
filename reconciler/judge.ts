/** What of the differences is to be done in this pass: restrain, and take turns. PURE */
import type { ReadTenants } from "./desired.ts"
import { type Fleet, rolloutPolicy } from "./fleet.ts"
import { entriesOf, isRetired } from "./ledger.ts"
import type { Migrations } from "./migrations.ts"
import type { Diff, Observed } from "./plan.ts"
import { type Plan, restrain } from "./policy.ts"
import { type Failures, takeTurns, withoutMigrations } from "./rollout.ts"

type Settings = {
  fleet: Fleet
  migrations: Pick<Migrations, "version" | "fault">
  failures: Failures
  read: Pick<ReadTenants, "tenants" | "problems">
  /** Milliseconds since 1970. */
  now: number
}

/** `retryAt`: when a tenant whose migration failed is to be tried again. `sketch`: all that the plan was made of. */
export function judge(
  whole: Diff,
  { databases, secrets }: Observed,
  { fleet, migrations, failures, read, now }: Settings,
): { plan: Plan; retryAt: number | undefined; sketch: Diff } {
  const entries = entriesOf(secrets, fleet.fleet)
  const { version, fault } = migrations
  const desired = read.tenants.length
  const inTurn = <D extends Pick<Diff, "changes">>(all: D) =>
    takeTurns(all, { version, entries, failures, now }, rolloutPolicy(fleet))
  const unlessFaulty = <D extends Pick<Diff, "changes">>(all: D) =>
    fault ? withoutMigrations(all, fault) : { diff: all, waiting: [] }
  const known = unlessFaulty(whole)
  const restrained = restrain(known.diff, fleet, {
    unreadable: read.problems.length,
    desired,
    fleet: Math.max(entries.filter((entry) => !isRetired(entry)).length, desired),
    databases,
  })
  // Whoever may not be removed takes part in the rollout.
  const possible = unlessFaulty(restrained)
  const { diff: allowed, waiting, retryAt } = inTurn(possible.diff)
  const withheld = [...restrained.withheld, ...known.waiting, ...possible.waiting, ...waiting]
  const wanted = inTurn(known.diff).diff
  return {
    plan: { ...allowed, withheld },
    retryAt,
    sketch: { ...wanted, changes: [...wanted.changes, ...allowed.changes] },
  }
}
