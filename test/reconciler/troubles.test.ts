/**
 * Lives in which anything happens together: files that are faulty, cells that go and come back, a policy that withholds,
 * migrations that cannot be read, and all that the other properties try by themselves. What must be so in the end is less than
 * there, and holds all the same.
 */
import fc from "fast-check"
import { expect, test, vi } from "vitest"
import { fullName } from "../../reconciler/cells.ts"
import { TerminalError } from "../../reconciler/errors.ts"
import type { Fleet } from "../../reconciler/fleet.ts"
import { judge } from "../../reconciler/judge.ts"
import { fromTags } from "../../reconciler/ledger.ts"
import { cellsInQuestion, type Desired, diff, type Observed } from "../../reconciler/plan.ts"
import type { Plan } from "../../reconciler/policy.ts"
import { databaseName, secretName, type TenantId } from "../../reconciler/tenant.ts"
import * as histories from "./histories.ts"
import { type Course, desiredOf, type Files, lookWhereNeeded, observeMarkers, runPass } from "./passes.ts"
import { PATIENCE, RUNS } from "./runs.ts"
import { cellOf, CELLS, emptyWorld, FLEET, served, sharedNames } from "./simulation.ts"

vi.setConfig(PATIENCE)

const { IDS } = histories
const ANCHOR = IDS[0]!

type Trouble =
  | { kind: "faulty file"; id: TenantId; is: boolean }
  | { kind: "removals"; allowed: "all" | "none" | "forbidden" }
  | { kind: "faulty migration"; is: boolean }
  | { kind: "cells"; count: number }
type Event = histories.Event | Trouble
type Episode = { events: readonly Event[]; course: Course }
type Life = histories.Life & {
  faulty: Set<TenantId>
  removals: Extract<Trouble, { kind: "removals" }>["allowed"]
  hasFault: boolean
  cells: readonly string[]
}

const id = fc.constantFrom(...IDS)
const trouble: fc.Arbitrary<Trouble> = fc.oneof(
  fc.record({ kind: fc.constant("faulty file"), id, is: fc.boolean() }),
  fc.record({
    kind: fc.constant("removals"),
    allowed: fc.constantFrom("all" as const, "none" as const, "forbidden" as const),
  }),
  fc.record({ kind: fc.constant("faulty migration"), is: fc.boolean() }),
  fc.record({ kind: fc.constant("cells"), count: fc.constantFrom(1, 2) }),
)
/** Names that differ by case, of which the files never have two at once. */
const otherCase: fc.Arbitrary<Event> = fc.record({
  kind: fc.constant("declare"),
  id,
  name: fc.constantFrom("Ada", "ada", "Bob", "bob", "Cleo", "cleo"),
})

/** Of whom neither the vault nor a cell tells, nobody can know, nor what a rename that is under way there was to be. */
const isEverybodyKnown = ({ world }: Life) =>
  world.secrets.values().every(({ tags }) => tags["transition"] !== "renaming") &&
  world.databases
    .values()
    .every(({ owner }) => owner === "nobody" || owner === "foreign" || world.secrets.has(secretName(owner)))

function befall(life: Life, event: Event): void {
  switch (event.kind) {
    case "faulty file":
      if (event.is && event.id !== ANCHOR) life.faulty.add(event.id)
      else life.faulty.delete(event.id)
      return
    case "removals":
      life.removals = event.allowed
      return
    case "faulty migration":
      life.hasFault = event.is
      return
    case "cells":
      if (isEverybodyKnown(life)) life.cells = CELLS.slice(0, event.count)
      return
    case "secret lost":
    case "vault lost":
      if (life.cells.length === CELLS.length) histories.befall(life, event)
      return
    case "declare": {
      const isTaken = life.files.tenants.some(
        ({ id: other, name }) =>
          other !== event.id && name !== event.name && name.toLowerCase() === event.name.toLowerCase(),
      )
      if (!isTaken) histories.befall(life, event)
      return
    }
    default:
      histories.befall(life, event)
  }
}

const filesOf = ({ files, faulty }: Life): Files => {
  const held = new Set(files.tenants.map((tenant) => tenant.id).filter((each) => faulty.has(each)))
  return {
    tenants: files.tenants.filter((tenant) => !held.has(tenant.id)),
    held,
    unreadable: held.size,
  }
}

/** The plan as reconcile.ts makes it. `isThorough`: all markers are read, where the lists say that all is well too. */
function planOf(life: Life, isThorough: boolean): Plan {
  const { world, cells, removals, hasFault } = life
  const { tenants, held, unreadable } = filesOf(life)
  const desired = { ...desiredOf(world, { tenants, held, unreadable }), cells }
  const all = observeMarkers(world)
  const there = all.databases.filter(({ cell }) => cells.includes(cell))
  const fleet: Fleet = {
    fleet: FLEET,
    deletion: removals === "forbidden" ? "forbid" : "retire",
    gracePeriodDays: 30,
    maxRemovals: removals === "none" ? 0 : 100,
    maxRemovalShare: 1,
  }
  const settings = {
    fleet,
    migrations: {
      version: world.version,
      ...(hasFault ? { fault: new TerminalError("BadMigration", "it cannot be read") } : {}),
    },
    failures: new Map(),
    read: {
      tenants: tenants.map((tenant) => ({ ...tenant, file: "" })),
      problems: [...held].map((file) => ({ file, key: "id", message: "", line: 1 })),
    },
    now: world.now,
  }
  const judged = (observed: Observed) => judge(diff(desired, observed, world.now), observed, settings)
  const whole: Observed = { ...all, databases: there }
  const rules = { diff: (_: Desired, seen: Observed) => judged(seen).sketch, inQuestion: cellsInQuestion }
  return judged(isThorough ? whole : lookWhereNeeded(desired, whole, world.now, rules).observed).plan
}

/** Canaries and what waits for them take a few passes; more than these, and there is no end. */
const PASSES = 12

/** Undisturbed passes until nothing is to be done, whether markers are read or not. */
function settle(life: Life): { plan: Plan; isAtRest: boolean } {
  for (let passes = 0; ; passes++) {
    const quick = planOf(life, false)
    const plan = quick.changes.length > 0 ? quick : planOf(life, true)
    const isAtRest = plan.changes.length === 0
    if (isAtRest || passes === PASSES) return { plan, isAtRest }
    runPass(life.world, plan)
  }
}

/** What is wrong: harm, no end, somebody who is not as declared and of whom nothing is said. */
function faultsOf(life: Life): string[] {
  const { plan, isAtRest } = settle(life)
  const { world } = life
  const { tenants, held } = filesOf(life)
  const told = new Map([
    ...plan.withheld.map(({ change, reason }) => [change.tenant, reason] as const),
    ...plan.stalls.map(({ tenant, reason }) => [tenant, reason] as const),
  ])
  const faults = [...world.harm, ...sharedNames(world), ...(isAtRest ? [] : ["there is no end"])]
  for (const each of IDS.filter((one) => !held.has(one))) {
    const owned = [...world.databases].filter(([, { owner }]) => owner === each)
    const place = owned.find(([name]) => life.cells.includes(cellOf(name)))?.[0]
    const entry = fromTags(secretName(each), world.secrets.get(secretName(each))?.tags)
    const declared = tenants.find((tenant) => tenant.id === each)
    const isServed = served(world, each) !== undefined
    const reason = told.get(each) ?? ""
    const isCalledSo =
      place === fullName({ cell: cellOf(place ?? "/"), name: databaseName(declared?.name ?? "") })
    const isHopeless = ["BadMigration", "CellUnknown", "MarkerAmbiguous"].includes(reason)
    const wrong = {
      "has two databases": owned.length > 1,
      "is not as declared, and nothing is said":
        declared !== undefined && !reason && (isServed === (declared.suspended ?? false) || !isCalledSo),
      "could be served and is not": place && entry?.state === "active" && !isServed && !isHopeless,
      "is there without a file, and nothing is said":
        !declared && !reason && place !== undefined && !place.endsWith(`/retired-${each}`),
    }
    for (const [what, isSo] of Object.entries(wrong)) if (isSo) faults.push(`${each} ${what} (${reason})`)
  }
  return faults
}

const { edit, decision, loss, tampering, foreign, databaseLost, hosting } = histories
const something = fc.oneof(decision, loss, tampering, foreign, databaseLost, hosting)
const lives = fc.array(
  fc.record({
    events: fc.array(fc.oneof<fc.Arbitrary<Event>[]>(edit, otherCase, something, trouble), { maxLength: 3 }),
    course: histories.course,
  }),
  { minLength: 1, maxLength: 6 },
)

test("whatever happens together, nobody is harmed, passes come to rest, and who is not as declared is told of", () => {
  fc.assert(
    fc.property(lives, (episodes: readonly Episode[]) => {
      const life: Life = {
        ...histories.beginning([]),
        world: emptyWorld(),
        faulty: new Set(),
        removals: "all",
        hasFault: false,
        cells: CELLS.slice(0, 1 + (episodes.length % 2)),
      }
      for (const { events, course } of episodes) {
        for (const event of events) befall(life, event)
        runPass(life.world, planOf(life, false), course)
      }
      expect(faultsOf(life)).toEqual([])
      Object.assign(life, { faulty: new Set(), removals: "all", hasFault: false, cells: CELLS })
      expect(faultsOf(life)).toEqual([])
    }),
    RUNS,
  )
})
