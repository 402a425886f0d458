/**
 * ONE PASS
 *
 *     readTenants -> observe -> diff -> restrain -> apply -> outcomes
 *
 * It remembers nothing: what it does follows from the files and from what Neon and the vault list. A pass in which
 * nothing changed costs those lists and no more.
 */
import { apply, type Outcome, type Progress } from "./apply.ts"
import { readTenants, type ReadTenants } from "./desired.ts"
import { type Fleet, readFleet } from "./fleet.ts"
import { type Migrations, readMigrations } from "./migrations.ts"
import { observe, observeMarkers } from "./observed.ts"
import { type Desired, diff, type Observed } from "./plan.ts"
import { type Plan, restrain } from "./policy.ts"
import type { World } from "./world.ts"

export type Sources = { tenantsDir: string; fleetFile: string; migrationsDir: string }

/** What a pass would do, and all that it follows from. */
export type Review = {
  read: ReadTenants
  fleet: Fleet
  migrations: Migrations
  observed: Observed
  plan: Plan
}

const DAY = 86_400_000

/** The first half of a pass: looks, and changes nothing. */
export async function review(sources: Sources, world: World): Promise<Review> {
  const [fleet, migrations, read] = await Promise.all([
    readFleet(sources.fleetFile),
    readMigrations(sources.migrationsDir),
    readTenants(sources.tenantsDir),
  ])
  const desired: Desired = {
    fleet: fleet.fleet,
    cell: world.cell,
    tenants: read.tenants,
    held: read.held,
    version: migrations.version,
    gracePeriod: fleet.gracePeriodDays * DAY,
  }
  const now = Date.now()
  const listed = await observe(world)
  const sketch = diff(desired, listed, now)
  const isQuiet = sketch.changes.length === 0 && sketch.stalls.length === 0
  // The lists say that all is well, or else the markers have the last word on whose database is whose.
  const observed = isQuiet ? listed : await observeMarkers(world, listed)
  const plan = restrain(isQuiet ? sketch : diff(desired, observed, now), fleet, {
    unreadable: read.problems.length,
    desired: read.tenants.length,
    fleet: observed.secrets.filter(({ entry }) => entry?.fleet === fleet.fleet && entry.state !== "retired")
      .length,
    databases: observed.databases,
  })
  return { read, fleet, migrations, observed, plan }
}

/** One pass. Throws where the world could not be observed; what happens to single tenants is in the outcomes. */
export async function reconcile(
  sources: Sources,
  world: World,
  hooks: { signal: AbortSignal; planned: (review: Review) => void; progress: Progress },
): Promise<{ review: Review; outcomes: Outcome[] }> {
  const reviewed = await review(sources, world)
  hooks.planned(reviewed)
  const { plan, fleet, migrations, observed } = reviewed
  const existing = observed.databases[0]?.name
  const { signal, progress } = hooks
  const outcomes = await apply(plan, { world, fleet: fleet.fleet, migrations, existing, signal, progress })
  return { review: reviewed, outcomes }
}
