/** The reconciler's own parts, put together by a test with one guard left out: what a negative control runs. */
import { apply, type Outcome } from "../../reconciler/apply.ts"
import type { Change } from "../../reconciler/action.ts"
import { type Desired, diff, type Observed } from "../../reconciler/plan.ts"
import { review, type Review } from "../../reconciler/reconcile.ts"
import type { World } from "../../reconciler/world.ts"
import type { Passes } from "./passes.ts"

/** Carries changes out as they are: without a policy and without a lease. */
export async function applyUnguarded(
  { fleet, migrations, observed }: Review,
  systems: World,
  changes: readonly Change[],
): Promise<Outcome[]> {
  return apply(
    { changes },
    {
      world: systems,
      fleet: fleet.fleet,
      migrations,
      observed,
      signal: new AbortController().signal,
      progress: () => {},
    },
  )
}

/** All that would be done if nothing were withheld. */
export const unrestrained = ({ plan }: Review): Change[] => [
  ...plan.changes,
  ...plan.withheld.map(({ change }) => change),
]

/** What would be done if the world were as `see` has it; nobody looks at a marker or asks the vault again. */
export async function planUnguarded(
  { config, systems }: Passes,
  see: (observed: Observed) => Observed,
): Promise<{ reviewed: Review; changes: readonly Change[] }> {
  const reviewed = await review(config.sources, systems)
  const { fleet, read, migrations, cells, observed } = reviewed
  const desired: Desired = {
    fleet: fleet.fleet,
    cells,
    tenants: read.tenants,
    held: read.held,
    version: migrations.version,
    gracePeriod: fleet.gracePeriodDays * 86_400_000,
  }
  return { reviewed, changes: diff(desired, see(observed), Date.now()).changes }
}

/** The observed world, with no marker read. */
export const withoutMarkers = (observed: Observed): Observed => ({
  ...observed,
  databases: observed.databases.map((place) => ({ ...place, marker: undefined })),
})
