/**
 * ONE PASS
 *
 *     readTenants -> observe -> diff -> restrain -> take turns -> (lease) -> apply -> outcomes
 *
 * It remembers nothing but which databases it has found to be strangers', whose migration failed lately, what it has
 * parsed, and that nothing was to be done: what it does follows from the files and from what Neon and the vault list. A
 * pass in which nothing changed costs those lists and no more.
 */
import { apply, type Outcome, type Progress } from "./apply.ts"
import { readTenants, type ReadTenants } from "./desired.ts"
import { TerminalError, TransientError } from "./errors.ts"
import { type Fleet, readFleet, stepLimits } from "./fleet.ts"
import { judge } from "./judge.ts"
import { DAY } from "./lifecycle.ts"
import { type Migrations, readMigrationsOrFault } from "./migrations.ts"
import { observe, observeMarkers, proveAbsent } from "./observed.ts"
import { cellsInQuestion, type Desired, diff, type Observed, unexplained } from "./plan.ts"
import type { Plan } from "./policy.ts"
import { acquireLease } from "./providers/lease.ts"
import { readServerFacts } from "./providers/server-facts.ts"
import { remember } from "./rollout.ts"
import { existingIn, MAINTENANCE_DATABASE, ownerUris, type World } from "./world.ts"

export type Sources = { tenantsDir: string; fleetFile: string; migrationsDir: string }

/** What a pass would do, and all that it follows from. */
export type Review = {
  read: ReadTenants
  fleet: Fleet
  migrations: Migrations
  /** The names of the configured cells. */
  cells: readonly string[]
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
  const cells = world.cellNames
  const desired: Desired = {
    fleet: fleet.fleet,
    cells,
    tenants: read.tenants,
    held: read.held,
    version: migrations.version,
    gracePeriod: fleet.gracePeriodDays * DAY,
  }
  const settings = { fleet, migrations, failures: world.failures, read, now: Date.now() }
  let observed = listed
  let judged = judge(world.sketch(desired, listed, settings.now), listed, settings)
  // Where the lists leave a question open, the markers have the last word on whose database is whose.
  const looked = new Set<string>()
  for (;;) {
    const sought = isThorough ? new Set(cells) : cellsInQuestion(judged.sketch, cells, world.strangers)
    const unseen = sought.difference(looked)
    if (unseen.size === 0) break
    observed = await observeMarkers(world, observed, { fleet: fleet.fleet, cells: unseen })
    for (const cell of unseen) looked.add(cell)
    judged = judge(diff(desired, observed, settings.now), observed, settings)
  }
  // What is deleted for ever waits for both clocks: one that jumped ahead must not end every grace period at once.
  const due = judged.plan.changes.find(({ kind, isApproved }) => kind === "purge" && !isApproved)
  const theirs = due ? await clockOf(world, observed, due.cell) : settings.now
  if (theirs < settings.now) {
    const then = { ...settings, now: theirs }
    judged = judge(diff(desired, observed, then.now), observed, then)
  }
  if (looked.size > 0) world.strangers = new Set(unexplained(judged.sketch))
  const { plan, retryAt } = judged
  return { read, fleet, migrations, cells, observed, plan, retryAt }
}

/** The time by the cell's Postgres, in milliseconds since 1970. */
async function clockOf(world: World, observed: Observed, cell: string): Promise<number> {
  const existing = existingIn(observed, cell)
  if (existing === undefined) return Date.now()
  return (await readServerFacts(await ownerUris(world)(cell).direct(existing, MAINTENANCE_DATABASE))).now
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
      observed,
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
  const { name: cell } = world.cells[0]!
  const existing = existingIn(observed, cell)
  if (!existing) {
    throw new TransientError(
      "NoDatabase",
      "the Neon branch has no database at all, so there is nowhere to hold the lease: create one, such as neondb",
    )
  }
  const lease = await acquireLease(
    await ownerUris(world)(cell).direct(existing, MAINTENANCE_DATABASE),
    fleet.fleet,
  )
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
