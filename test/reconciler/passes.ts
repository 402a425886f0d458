/** Passes over the simulated world, as reconcile.ts and apply.ts make them, cut short wherever a test says so. */
import { TerminalError, TransientError } from "../../reconciler/errors.ts"
import { fromTags, ownerOf } from "../../reconciler/ledger.ts"
import { type Change, claimedBy, vacatedBy } from "../../reconciler/action.ts"
import { fullName } from "../../reconciler/cells.ts"
import { cellsInQuestion, type Desired, type Diff, diff, type Observed } from "../../reconciler/plan.ts"
import { type Plan, type Policy, restrain } from "../../reconciler/policy.ts"
import { nameKey, type Tenant, type TenantId } from "../../reconciler/tenant.ts"
import { type Carried, cellOf, FLEET, perform, type SimulatedWorld } from "./simulation.ts"

/** What the files say. `unreadable` counts faulty files; `held` are the ids that those name all the same. */
export type Files = { tenants: readonly Tenant[]; unreadable: number; held: ReadonlySet<TenantId> }

export const readable = (tenants: readonly Tenant[]): Files => ({ tenants, unreadable: 0, held: new Set() })

/** No removal is too many; `fleet` in the circumstances must be Infinity. */
const LENIENT: Policy = { deletion: "retire", maxRemovals: Infinity, maxRemovalShare: 1 }

/** What plans; a test may put a broken one in its place. */
export type Rules = { diff: typeof diff; restrain: typeof restrain }
export const RULES: Rules = { diff, restrain }

export const observeLists = ({ databases, secrets }: SimulatedWorld): Observed => ({
  databases: [...databases.keys()].map((place) => ({
    cell: cellOf(place),
    name: place.slice(cellOf(place).length + 1),
    marker: undefined,
  })),
  secrets: [...secrets].map(([name, { enabled, tags, changedAt }]) => ({
    name,
    enabled,
    owner: ownerOf(tags),
    entry: fromTags(name, tags),
    isProtected: tags["protected"] === "true",
    changedAt,
  })),
})

export function observeMarkers(world: SimulatedWorld): Observed {
  const { databases, secrets } = observeLists(world)
  const look = (place: Observed["databases"][number]) => ({
    ...place,
    marker: world.databases.get(fullName(place))!.marker,
  })
  return { databases: databases.map(look), secrets }
}

/** What a pass comes to know of a world: the lists, and markers only in the cells that they leave in question. */
export function lookWhereNeeded(
  desired: Desired,
  whole: Observed,
  now: number,
  rules: { diff: typeof diff; inQuestion: typeof cellsInQuestion } = { diff, inQuestion: cellsInQuestion },
): { observed: Observed; whole: Diff } {
  let looked = new Set<string>()
  for (;;) {
    const databases = whole.databases.map((place) =>
      looked.has(place.cell) ? place : { ...place, marker: undefined },
    )
    const observed = { ...whole, databases }
    const found = rules.diff(desired, observed, now)
    const sought = looked.union(rules.inQuestion(found, desired.cells, new Set()))
    if (sought.size === looked.size) return { observed, whole: found }
    looked = sought
  }
}

export const desiredOf = (world: SimulatedWorld, { tenants, held }: Files): Desired => ({
  fleet: FLEET,
  cells: world.cells,
  tenants,
  held,
  version: world.version,
  gracePeriod: world.gracePeriod,
})

/**
 * The plan of one pass: the lists first, the markers where those do not say that all is well. Without a policy no
 * removal is too many.
 */
export function planPass(world: SimulatedWorld, files: Files, rules: Rules = RULES, policy?: Policy): Plan {
  const desired = desiredOf(world, files)
  const { observed, whole } = lookWhereNeeded(desired, observeMarkers(world), world.now, {
    diff: rules.diff,
    inQuestion: cellsInQuestion,
  })
  const fleet = observed.secrets.filter(
    ({ entry }) => entry?.fleet === FLEET && entry.state !== "retired" && entry.state !== "purging",
  ).length
  return rules.restrain(whole, policy ?? LENIENT, {
    unreadable: files.unreadable,
    desired: files.tenants.length,
    fleet: policy ? fleet : Infinity,
    databases: observed.databases,
  })
}

/** How a pass goes: who is next at each step, which step fails and how, and after how many steps all ends. */
export type Course = {
  /** At each step, whose turn it is among those that can go on. */
  turns: readonly number[]
  /** By the step's number: fails with nothing done, or is done and only the answer is lost. */
  faults: ReadonlyMap<number, "not done" | "done">
  steps: number
}

export const UNDISTURBED: Course = { turns: [], faults: new Map(), steps: Infinity }

type Runner = { change: Change; next: number; carried: Carried; state: "going" | "done" | "failed" }

/** Carries the plan out, one action at a time, over tenants in the course's order. Returns the tenants that failed. */
export function runPass(world: SimulatedWorld, { changes }: Plan, course: Course = UNDISTURBED): TenantId[] {
  const runners = changes.map((change): Runner => ({ change, next: 0, carried: {}, state: "going" }))
  const holders = Map.groupBy(
    runners.flatMap((runner) =>
      runner.change.actions.flatMap((action, index) => {
        const name = vacatedBy(action)
        return name === undefined ? [] : [{ name: nameKey(name), runner, index }]
      }),
    ),
    ({ name }) => name,
  )
  const obstacle = (runner: Runner): "none" | "waits" | "hopeless" => {
    const name = claimedBy(runner.change.actions[runner.next]!)
    const rivals = (name === undefined ? [] : (holders.get(nameKey(name)) ?? [])).filter(
      (holder) => holder.runner !== runner && holder.runner.next <= holder.index,
    )
    if (rivals.length === 0) return "none"
    return rivals.some((rival) => rival.runner.state === "failed") ? "hopeless" : "waits"
  }
  for (let step = 0; step < course.steps; step++) {
    const going = runners.filter(({ state }) => state === "going")
    if (going.length === 0) break
    const ready = going.filter((runner) => obstacle(runner) !== "waits")
    if (ready.length === 0) {
      world.harm.push(`all wait for each other: ${going.map(({ change }) => change.name).join(", ")}`)
      break
    }
    const turn = course.turns.length > 0 ? course.turns[step % course.turns.length]! : 0
    advance(world, ready[turn % ready.length]!, obstacle, course.faults.get(step))
  }
  return runners.filter(({ state }) => state === "failed").map(({ change }) => change.tenant)
}

function advance(
  world: SimulatedWorld,
  runner: Runner,
  obstacle: (runner: Runner) => string,
  fault: "not done" | "done" | undefined,
): void {
  const action = runner.change.actions[runner.next]!
  const isHopeless = obstacle(runner) === "hopeless"
  try {
    if (!isHopeless && fault !== "not done") perform(world, action, runner.change, runner.carried)
    if (isHopeless || fault) throw new TransientError("Disturbed", "the course says so")
    runner.next++
    if (runner.next === runner.change.actions.length) runner.state = "done"
  } catch (error) {
    if (!(error instanceof TransientError) && !(error instanceof TerminalError)) throw error
    runner.state = "failed"
  }
}

/** Undisturbed passes until nothing is planned. Returns how many did something; `limit` + 1 where there is no end. */
export function converge(world: SimulatedWorld, files: Files, rules: Rules = RULES, limit = 3): number {
  for (let passes = 0; passes <= limit; passes++) {
    const plan = planPass(world, files, rules)
    if (plan.changes.length === 0) return passes
    runPass(world, plan)
  }
  return limit + 1
}
