/** Migrating by hand: the same steps, record, ledger and rollout as the reconciler's, now and with a look at it. */
import type { Change } from "./action.ts"
import { fullName } from "./cells.ts"
import { TerminalError, TransientError } from "./errors.ts"
import { rolloutPolicy, stepLimits } from "./fleet.ts"
import { entriesOf, type LedgerEntry } from "./ledger.ts"
import { type Migrations, versionOf } from "./migrations.ts"
import { observeMarkers } from "./observed.ts"
import { patiently } from "./patience.ts"
import { applied, migrate, rehearse, undo } from "./providers/migrator.ts"
import { type Review, review, type Sources, withLease } from "./reconcile.ts"
import { type Failures, heldSchema, remember, rollOut, type Waiting } from "./rollout.ts"
import { ownerUris, type World } from "./world.ts"

/** What became of one tenant. `ms`: milliseconds; `note`: what was done, for people. */
export type Migrated = { name: string; ms: number; note: string; error?: TerminalError | TransientError }

export type Job = {
  sources: Sources
  world: World
  signal: AbortSignal
  /** The tenants in all, whenever that becomes known anew. */
  expect: (total: number) => void
  progress: (outcome: Migrated) => void
  say: (line: string) => void
}

/** `tenant`: id or name of the only one that is meant. `to`: the number of a step, such as "0004". */
export type Choice = { tenant?: string | undefined; to?: string | undefined }

/** The version without the note that a person took the tenant there. */
const plain = (schema: string): string => schema.split(" ")[0]!

/**
 * Brings the fleet, or one tenant, to the newest version or to `to`: canaries first, then wave by wave, each under the
 * lease of its own, until all are there or too many have failed. With `to` the reconciler leaves the tenants there
 * until the migrations change.
 */
export async function migrateFleet(
  job: Job,
  choice: Choice,
): Promise<{ outcomes: Migrated[]; waiting: Waiting[] }> {
  const outcomes: Migrated[] = []
  let failures: Failures = new Map()
  for (;;) {
    const wave = await withPatience(job, async (reviewed, lost) => {
      const { migrations } = reviewed
      const goal = goalOf(migrations, choice.to)
      const entries = await tenantsOf(job.world, reviewed, choice)
      const pending = entries.filter((entry) => isBelow(entry, goal))
      job.expect(pending.length + outcomes.length)
      const policy = choice.tenant ? ONE : rolloutPolicy(reviewed.fleet)
      const ledger = entries.map((entry) => ({ ...entry, schema: plain(entry.schema) }))
      const world = { version: goal.version, entries: ledger, failures, now: Date.now() }
      const { go, waiting } = rollOut(pending.map(changeOf), world, policy)
      const uris = ownerUris(job.world)
      const schema = choice.to ? heldSchema(goal.version, migrations.version) : goal.version
      const done = await each(job, lost, go, async ({ tenant, name }) => {
        const entry = entries.find(({ id }) => id === tenant)!
        const options = { limits: stepLimits(reviewed.fleet), ...(choice.to ? { to: choice.to } : {}) }
        await migrate(await uris(entry.cell).direct(entry.database), migrations, options)
        await job.world.vault.annotate({ ...entry, schema })
        return `${name} is at ${goal.version.slice(0, 4)}`
      })
      return { ...done, version: goal.version, waiting }
    })
    outcomes.push(...wave.outcomes)
    failures = remember(failures, wave.results, { version: wave.version, now: Date.now() })
    if (wave.outcomes.length === 0 || job.signal.aborted)
      return { outcomes, waiting: wave.waiting.filter(({ reason }) => reason.startsWith("Rollout")) }
  }
}

const ONE = { canary: 0, waveSize: 1, stopAfterFailures: 1 }

/**
 * Tries what is pending on each tenant, on one, or with `canary` on the canaries, in transactions that are rolled
 * back. It writes nothing, and needs no lease; its locks are real while it runs.
 */
export async function rehearseFleet(job: Job, choice: Choice & { canary?: boolean }): Promise<Migrated[]> {
  const reviewed = await review(job.sources, job.world)
  const goal = goalOf(reviewed.migrations, choice.to)
  const entries = await tenantsOf(job.world, reviewed, choice)
  const pending = entries.filter((entry) => isBelow(entry, goal)).map(changeOf)
  const world = { version: goal.version, entries, failures: new Map(), now: Date.now() }
  const meant = choice.canary ? rollOut(pending, world, rolloutPolicy(reviewed.fleet)).go : pending
  job.expect(meant.length)
  const uris = ownerUris(job.world)
  const { outcomes } = await each(job, job.signal, meant, async ({ tenant, name }) => {
    const entry = entries.find(({ id }) => id === tenant)!
    const options = { limits: stepLimits(reviewed.fleet), ...(choice.to ? { to: choice.to } : {}) }
    const uri = await uris(entry.cell).direct(entry.database)
    const { tried, untried } = await rehearse(uri, reviewed.migrations, options)
    const rest = untried.length > 0 ? `; not tried, since not in a transaction: ${untried.join(", ")}` : ""
    return `${name} would take ${tried.join(", ") || "nothing"}${rest}`
  })
  return outcomes
}

/**
 * Undoes steps of one tenant, or of the fleet where `confirm` is the number of its tenants that this changes: down to
 * `to`, or else the newest one. The reconciler leaves the tenants there until the migrations change.
 */
export async function undoFleet(
  job: Job,
  choice: Choice & { confirm?: number | undefined },
): Promise<Migrated[]> {
  return withPatience(job, async (reviewed, lost) => {
    const { migrations } = reviewed
    const newest = migrations.steps.at(-1)?.name.slice(0, 4) ?? "0000"
    const before = migrations.steps.at(-2)?.name.slice(0, 4) ?? "0000"
    const goal = goalOf(migrations, choice.to ?? before)
    const entries = await tenantsOf(job.world, reviewed, choice)
    const meant = entries.filter(({ schema }) => plain(schema).slice(0, 4) > goal.number)
    if (!choice.tenant && choice.confirm !== meant.length) {
      const what = `this undoes the steps after ${goal.number}, up to ${newest}, on ${meant.length} tenants, with the data that they hold`
      throw new TerminalError("NotConfirmed", `${what}: to do it, add --confirm ${meant.length}`)
    }
    job.expect(meant.length)
    const uris = ownerUris(job.world)
    const { outcomes } = await each(job, lost, meant.map(changeOf), async ({ tenant, name }) => {
      const entry = entries.find(({ id }) => id === tenant)!
      const uri = await uris(entry.cell).direct(entry.database)
      const names = await undoTenant(job, { entry, uri, reviewed, goal })
      return `${name} is at ${goal.number}: undone ${names.join(", ") || "nothing"}`
    })
    return outcomes
  })
}

/** Wherever it is cut short, the ledger says that the tenant is held, and where it is or that the database has to say. */
async function undoTenant(
  { world }: Job,
  { entry, uri, reviewed, goal }: { entry: LedgerEntry; uri: string; reviewed: Review; goal: Goal },
): Promise<string[]> {
  const { migrations, fleet } = reviewed
  const record = (schema: string) =>
    world.vault.annotate({ ...entry, schema: heldSchema(schema, migrations.version) })
  await record("unknown")
  const work = undo(uri, migrations, { limits: stepLimits(fleet), to: goal.number })
  await work.catch(() => {}) // it is thrown below, when the ledger knows how far it came
  const left = new Set(await applied(uri).catch(() => undefined))
  const steps = migrations.steps.filter(({ name }) => left.has(name))
  if (steps.length === migrations.steps.length) await world.vault.annotate(entry)
  else if (left.size > 0 || goal.number === "0000") await record(versionOf(steps))
  return work
}

type Goal = { number: string; version: string }

function goalOf({ steps, version, fault }: Migrations, to: string | undefined): Goal {
  if (fault) throw fault
  if (to === undefined) return { number: steps.at(-1)?.name.slice(0, 4) ?? "0000", version }
  const upTo = steps.filter(({ name }) => name.slice(0, 4) <= to)
  const isKnown = to === "0000" || upTo.at(-1)?.name.startsWith(to)
  if (isKnown) return { number: to, version: versionOf(upTo) }
  const numbers = steps.map(({ name }) => name.slice(0, 4)).join(", ")
  throw new TerminalError("BadArgument", `--to ${to}: there is no such step; there are ${numbers}`)
}

/** Without `to` whatever is not the goal is below it: the database will tell. */
const isBelow = ({ schema }: LedgerEntry, { number, version }: Goal): boolean => {
  const now = plain(schema)
  return now !== version && !(/^\d{4}:/.test(now) && now.slice(0, 4) > number)
}

const changeOf = ({ id, name, cell }: LedgerEntry): Change => ({
  kind: "migrate",
  tenant: id,
  name,
  cell,
  actions: [],
})

/**
 * The tenants of the ledger that have a database, that nothing else is being done to, and whose database carries their
 * marker. Throws TerminalError where the chosen one is none of them.
 */
async function tenantsOf(
  world: World,
  { observed, fleet, plan }: Review,
  { tenant }: Choice,
): Promise<LedgerEntry[]> {
  const stalled = new Set(plan.stalls.map((stall) => stall.tenant))
  const settled = entriesOf(observed.secrets, fleet.fleet).filter(({ id, name, state, transition }) => {
    const isMeant = tenant === undefined || id === tenant.toLowerCase() || name === tenant
    const isSettled = (state === "active" || state === "suspended") && !transition
    return isMeant && isSettled && !stalled.has(id)
  })
  const cells = new Set(settled.map(({ cell }) => cell))
  const { databases } = await observeMarkers(world, observed, { fleet: fleet.fleet, cells })
  const markers = new Map(databases.map((database) => [fullName(database), database.marker]))
  const entries = settled.filter(({ id, cell, database }) => {
    const marker = markers.get(fullName({ cell, name: database }))
    return marker?.fleet === fleet.fleet && marker.tenant === id
  })
  if (tenant === undefined || entries.length === 1) return entries
  throw new TerminalError(
    "TenantUnknown",
    `no tenant ${tenant} can be migrated now: "tenantry status" shows the tenants, and what is the matter with them`,
  )
}

/** Side by side, as far as the world allows. What happens to one tenant is in its outcome. */
async function each(
  job: Job,
  lost: AbortSignal,
  changes: readonly Change[],
  task: (change: Change) => Promise<string>,
) {
  const results = await Promise.all(
    changes.map(async (change) => {
      let begun = performance.now()
      const outcome: Migrated = { name: change.name, ms: 0, note: "" }
      try {
        outcome.note = await job.world.sql(async () => {
          begun = performance.now()
          if (job.signal.aborted || lost.aborted)
            throw new TransientError("Interrupted", "it was told to stop before this tenant's turn")
          return task(change)
        })
      } catch (error) {
        const isOurs = error instanceof TerminalError || error instanceof TransientError
        outcome.error = isOurs ? error : new TransientError("Unexpected", String(error))
      }
      outcome.ms = Math.round(performance.now() - begun)
      job.progress(outcome)
      const { error } = outcome
      const failure = error && { reason: error.reason, message: error.message }
      return {
        outcome,
        result: { change, error: failure && { ...failure, isTerminal: error instanceof TerminalError } },
      }
    }),
  )
  return { outcomes: results.map(({ outcome }) => outcome), results: results.map(({ result }) => result) }
}

/** Under the lease, with a look that is taken under it. Waits for a reconciler that applies, but not for ever. */
const withPatience = <T>(
  { sources, world, signal, say }: Job,
  task: (reviewed: Review, lost: AbortSignal) => Promise<T>,
): Promise<T> =>
  patiently(
    async () => {
      const first = await review(sources, world)
      return withLease(world, first, async (lost) => task(await review(sources, world), lost))
    },
    { signal, say },
  )
