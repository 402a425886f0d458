/**
 * ONE PASS
 *
 *     readTenants -> observe -> diff -> restrain -> take turns -> (lease) -> apply -> outcomes
 *
 * It remembers nothing but which databases it has found to be strangers', whose migration failed lately, what it has
 * parsed, and that nothing was to be done: what it does follows from the files and from what Neon and the vault list. A pass in which nothing changed costs those lists
 * and no more.
 */
import { apply, type Outcome, type Progress } from "./apply.ts"
import { readTenants, type ReadTenants } from "./desired.ts"
import { TerminalError, TransientError } from "./errors.ts"
import { type Fleet, readFleet, rolloutPolicy, stepLimits } from "./fleet.ts"
import { entriesOf, isRetired } from "./ledger.ts"
import { DAY } from "./lifecycle.ts"
import { type Migrations, readMigrationsOrFault } from "./migrations.ts"
import { observe, observeMarkers, proveAbsent } from "./observed.ts"
import { type Desired, type Diff, diff, type Observed, unexplained } from "./plan.ts"
import { type Plan, restrain } from "./policy.ts"
import { acquireLease } from "./providers/lease.ts"
import { remember, takeTurns, withoutMigrations } from "./rollout.ts"
import { MAINTENANCE_DATABASE, ownerUris, type World } from "./world.ts"

export type Sources = { tenantsDir: string; fleetFile: string; migrationsDir: string }

/** What a pass would do, and all that it follows from. */
export type Review = {
  read: ReadTenants
  fleet: Fleet
  migrations: Migrations
  observed: Observed
  plan: Plan
  /** When a tenant whose migration failed is to be tried again; milliseconds since 1970. */
  retryAt: number | undefined
}

/** How long one pass may apply; what is left is the next one's. Milliseconds. */
const BUDGET = 600_000

/** The first half of a pass: looks, and changes nothing. `isThorough`: at the markers too, where the lists say that all is well. */
export async function review(sources: Sources, world: World, isThorough = false): Promise<Review> {
  const reviewed = await look(sources, world, isThorough)
  await proveAbsent(world, reviewed.observed, reviewed.plan)
  return reviewed
}

/** The same, believing the vault's list: enough to know whether anything is to be done. */
async function look(sources: Sources, world: World, isThorough = false): Promise<Review> {
  const [fleet, migrations] = await Promise.all([
    readFleet(sources.fleetFile),
    readMigrationsOrFault(sources.migrationsDir),
  ])
  const [read, listed] = await Promise.all([
    readTenants(sources.tenantsDir, new Set(migrations.seeds.keys()), world.files),
    observe(world),
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
  const entries = entriesOf(listed.secrets, fleet.fleet)
  const { version, fault } = migrations
  const inTurn = <D extends Pick<Diff, "changes">>(whole: D) =>
    takeTurns(whole, { version, entries, failures: world.failures, now }, rolloutPolicy(fleet))
  const unlessFaulty = <D extends Pick<Diff, "changes">>(whole: D) =>
    fault ? withoutMigrations(whole, fault) : { diff: whole, waiting: [], retryAt: undefined }
  const sketched = unlessFaulty(world.sketch(desired, listed, now))
  const sketch = inTurn(sketched.diff).diff
  // The lists say that all is well, or else the markers have the last word on whose database is whose.
  const isQuiet =
    !isThorough &&
    sketch.changes.length === 0 &&
    sketch.stalls.length === 0 &&
    unexplained(sketch).every((name) => world.strangers.has(name))
  const observed = isQuiet ? listed : await observeMarkers(world, listed, fleet.fleet)
  const known = isQuiet ? sketched : unlessFaulty(diff(desired, observed, now))
  if (!isQuiet) world.strangers = new Set(unexplained(known.diff))
  const restrained = restrain(known.diff, fleet, {
    unreadable: read.problems.length,
    desired: read.tenants.length,
    fleet: Math.max(entries.filter((entry) => !isRetired(entry)).length, read.tenants.length),
    databases: observed.databases,
  })
  // Whoever may not be removed takes part in the rollout.
  const possible = unlessFaulty(restrained)
  const { diff: allowed, waiting, retryAt } = inTurn(possible.diff)
  const withheld = [...restrained.withheld, ...known.waiting, ...possible.waiting, ...waiting]
  const plan: Plan = { ...allowed, withheld }
  return { read, fleet, migrations, observed, plan, retryAt }
}

/**
 * One pass. Throws where the world could not be observed; what happens to single tenants is in the outcomes. `select`
 * may leave out a part of the plan, or throw to refuse it; it is asked again when the world was looked at again.
 */
export async function reconcile(
  sources: Sources,
  world: World,
  hooks: {
    signal: AbortSignal
    select?: (review: Review) => Plan
    planned: (review: Review) => void
    progress: Progress
  },
): Promise<{ review: Review; outcomes: Outcome[] }> {
  const selected = (whole: Review): Review => ({ ...whole, plan: hooks.select?.(whole) ?? whole.plan })
  const first = selected(await look(sources, world))
  if (first.plan.changes.length === 0) {
    hooks.planned(first)
    return { review: first, outcomes: [] }
  }
  return withLease(world, first, async (lost) => {
    // Another reconciler may have worked until it gave the lease up.
    const reviewed = selected(await review(sources, world))
    hooks.planned(reviewed)
    const { plan, fleet, migrations, observed } = reviewed
    const signal = AbortSignal.any([hooks.signal, lost, AbortSignal.timeout(BUDGET)])
    world.permit.signal = signal
    const outcomes = await apply(plan, {
      world,
      fleet: fleet.fleet,
      migrations,
      limits: stepLimits(fleet),
      existing: observed.databases[0]?.name,
      signal,
      progress: hooks.progress,
    })
    const { version } = migrations
    world.failures = remember(world.failures, outcomes.map(asFailure), { version, now: Date.now() })
    return { review: reviewed, outcomes }
  })
}

const asFailure = ({ change, error }: Outcome) => {
  if (!error) return { change }
  const { reason, message } = error
  return { change, error: { reason, message, isTerminal: error instanceof TerminalError } }
}

/** Runs `task` while no other reconciler of the fleet can apply. Throws TransientError where one is at it. */
export async function withLease<T>(
  world: World,
  { fleet, observed }: Pick<Review, "fleet" | "observed">,
  task: (lost: AbortSignal) => Promise<T>,
): Promise<T> {
  const existing = observed.databases[0]?.name
  if (!existing) {
    throw new TransientError(
      "NoDatabase",
      "the Neon branch has no database at all, so there is nowhere to hold the lease: create one, such as neondb",
    )
  }
  const lease = await acquireLease(await ownerUris(world).direct(existing, MAINTENANCE_DATABASE), fleet.fleet)
  if (!lease)
    throw new TransientError(
      "LeaseHeld",
      "another reconciler of this fleet is applying; waiting for it",
      3000,
    )
  world.permit.signal = lease.lost
  try {
    return await task(lease.lost)
  } finally {
    world.permit.signal = undefined
    await lease.release()
  }
}
