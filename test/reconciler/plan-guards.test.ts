import fc from "fast-check"
import { expect, test, vi } from "vitest"
import { fullName } from "../../reconciler/cells.ts"
import { cellsInQuestion, type Desired, diff, type Observed } from "../../reconciler/plan.ts"
import { type Plan, type Policy, restrain } from "../../reconciler/policy.ts"
import { secretName, type TenantId } from "../../reconciler/tenant.ts"
import { forbiddenIn } from "./guards.ts"
import { befall, beginning, course, edit, history, IDS, live, NAMES } from "./histories.ts"
import { converge, lookWhereNeeded, planPass, RULES, runPass } from "./passes.ts"
import { PATIENCE, RUNS } from "./runs.ts"
import { CELLS, FLEET, served } from "./simulation.ts"

vi.setConfig(PATIENCE)

const NOW = Date.parse("2027-06-01T00:00:00Z")
const DAY = 86_400_000

const id = fc.constantFrom(...IDS)
const database = fc.oneof(
  fc.constantFrom(...NAMES).map((name) => `products-${name}`),
  id.map((tenant) => `retired-${tenant}`),
  id.map((tenant) => `renaming-${tenant}`),
)
const fleet = fc.oneof({ weight: 5, arbitrary: fc.constant(FLEET) }, fc.constant("another-fleet"))

const entryOf = (tenant: TenantId) =>
  fc.record(
    {
      id: fc.constant(tenant),
      fleet,
      name: fc.constantFrom(...NAMES),
      // As likely as another, one that is not configured.
      cell: fc.constantFrom(...CELLS, "cell-9"),
      database,
      state: fc.constantFrom("reserved", "active", "suspended", "retired", "purging"),
      schema: fc.constantFrom("none", "0001:aa", "0002:aa"),
      slot: fc.constantFrom("a", "b"),
      transition: fc.constantFrom("renaming", "suspending", "rotating", "draining"),
      retiredAt: fc.constantFrom(0, 29, 31).map((days) => new Date(NOW - days * DAY).toISOString()),
    },
    { requiredKeys: ["id", "fleet", "name", "cell", "database", "state", "schema", "slot"] },
  )

/** Any list of databases and secrets, likely and unlikely; no tenant's marker is on two databases. */
const observed: fc.Arbitrary<Observed> = fc.record({
  databases: fc
    .uniqueArray(
      fc.record({
        cell: fc.constantFrom(...CELLS),
        name: database,
        marker: fc.oneof(fc.constant(null), fc.record({ fleet, tenant: id })),
      }),
      { selector: fullName, maxLength: 8 },
    )
    .map((list) =>
      list.filter(
        ({ marker }, n) => !marker || list.findIndex((one) => one.marker?.tenant === marker.tenant) === n,
      ),
    ),
  secrets: fc
    .tuple(
      ...IDS.map((tenant) =>
        fc.option(
          fc
            .record({
              name: fc.constant(secretName(tenant)),
              enabled: fc.boolean(),
              changedAt: fc.constant(0),
              entry: fc.oneof({ weight: 6, arbitrary: entryOf(tenant) }, fc.constant(undefined)),
            })
            .map((secret) => ({ ...secret, owner: secret.entry?.fleet })),
        ),
      ),
    )
    .map((list) => list.filter((secret) => secret !== null)),
})

const desired: fc.Arbitrary<Desired> = fc
  .tuple(
    fc.subarray(IDS),
    fc.shuffledSubarray(NAMES, { minLength: IDS.length }),
    fc.subarray(IDS, { maxLength: 2 }),
    fc.array(fc.constantFrom(undefined, undefined, ...CELLS, "cell-9"), { minLength: IDS.length }),
  )
  .map(([ids, names, held, wanted]) => ({
    fleet: FLEET,
    cells: CELLS,
    tenants: ids
      .filter((each) => !held.includes(each))
      .map((each, n) => ({ id: each, name: names[n]!, ...(wanted[n] ? { cell: wanted[n] } : {}) })),
    held: new Set(held),
    version: "0002:aa",
    gracePeriod: 30 * DAY,
  }))

const policy: fc.Arbitrary<Policy> = fc.record({
  deletion: fc.constantFrom("retire", "forbid"),
  maxRemovals: fc.nat({ max: 3 }),
  maxRemovalShare: fc.constantFrom(0, 0.25, 0.5, 1),
})

/** What a person has allowed by name, or has begun already, is not counted. */
const removals = (plan: Plan) =>
  plan.changes.filter(
    ({ kind, actions, isApproved }) =>
      !isApproved &&
      (kind === "retire" ||
        kind === "purge" ||
        actions.some((action) => ["drop", "drop-roles", "forget"].includes(action.kind))),
  )

const circumstances = fc.record({ unreadable: fc.nat({ max: 1 }), fleet: fc.nat({ max: 8 }) })

test("no plan holds a forbidden action, whatever is listed and declared", () => {
  fc.assert(
    fc.property(desired, observed, policy, circumstances, (wanted, world, rules, about) => {
      const plan = restrain(diff(wanted, world, NOW), rules, {
        ...about,
        desired: wanted.tenants.length,
        databases: world.databases,
      })
      expect(forbiddenIn(plan, wanted, world, NOW)).toEqual([])
    }),
    RUNS,
  )
})

/** The plan of who reads markers only in the cells that the lists leave in question. */
function looking(wanted: Desired, world: Observed, inQuestion = cellsInQuestion): Plan {
  const { observed: seen, whole } = lookWhereNeeded(wanted, world, NOW, { diff, inQuestion })
  const around = { unreadable: 0, desired: wanted.tenants.length, fleet: Infinity, databases: seen.databases }
  return restrain(whole, { deletion: "retire", maxRemovals: Infinity, maxRemovalShare: 1 }, around)
}

test("the same where markers are read only in the cells that the lists leave in question", () => {
  fc.assert(
    fc.property(desired, observed, (wanted, world) => {
      expect(forbiddenIn(looking(wanted, world), wanted, world, NOW)).toEqual([])
    }),
    RUNS,
  )
})

const hasty: typeof cellsInQuestion = ({ changes }) => new Set(changes.map(({ cell }) => cell))

test("control: who looks for a tenant only in the cell of its change makes and moves the wrong databases", () => {
  expect(isForbidden((wanted, world) => looking(wanted, world, hasty))).toBe(true)
})

test("whose cell is not configured, or not the one that its file names: nothing is written, and it is said", () => {
  fc.assert(
    fc.property(desired, observed, (wanted, world) => {
      const plan = looking(wanted, world)
      for (const { name, entry } of world.secrets) {
        const marked = world.databases.some(
          ({ marker }) => marker?.fleet === FLEET && secretName(marker.tenant) === name,
        )
        if (entry?.fleet !== FLEET || marked || wanted.held.has(entry.id)) continue
        const file = wanted.tenants.find(({ id: each }) => each === entry.id)
        const isUnseen = !CELLS.includes(entry.cell)
        const isElsewhere = file?.cell !== undefined && file.cell !== entry.cell
        if (!isUnseen && !isElsewhere) continue
        expect(plan.changes.filter(({ tenant }) => tenant === entry.id)).toEqual([])
        expect(plan.stalls).toContainEqual(
          expect.objectContaining({ tenant: entry.id, reason: isElsewhere ? "CellChange" : "CellUnknown" }),
        )
      }
    }),
    RUNS,
  )
})

const inOne = (world: Observed): Observed => ({
  databases: world.databases.map((place) => ({ ...place, cell: CELLS[0]! })),
  secrets: world.secrets.map((secret) => ({
    ...secret,
    entry: secret.entry && { ...secret.entry, cell: CELLS[0]! },
  })),
})

test("control: where every cell is taken for the first one, databases of others are written", () => {
  expect(isForbidden((wanted, world) => unrestrained({ ...wanted, cells: CELLS }, inOne(world)))).toBe(true)
})

test("no plan removes more than the policy allows, or anything while a file is unreadable or none is there", () => {
  fc.assert(
    fc.property(desired, observed, policy, circumstances, (wanted, world, rules, about) => {
      const count = wanted.tenants.length
      const around = { ...about, desired: count, databases: world.databases }
      const plan = restrain(diff(wanted, world, NOW), rules, around)
      const removed = removals(plan).length
      const mayRemove = about.unreadable === 0 && count > 0 && rules.deletion === "retire"
      const cap = mayRemove ? Math.min(rules.maxRemovals, rules.maxRemovalShare * about.fleet) : 0
      expect(removed).toBeLessThanOrEqual(cap)
    }),
    RUNS,
  )
})

test("what is withheld or stalled is shown, and nothing else of a diff is left out", () => {
  fc.assert(
    fc.property(desired, observed, policy, circumstances, (wanted, world, rules, about) => {
      const whole = diff(wanted, world, NOW)
      const around = { ...about, desired: wanted.tenants.length, databases: world.databases }
      const plan = restrain(whole, rules, around)
      const shown = [
        ...plan.changes.map(({ tenant }) => tenant),
        ...plan.withheld.map(({ change }) => change.tenant),
        ...plan.stalls.map(({ tenant }) => tenant),
      ]
      const all = [...whole.changes, ...whole.stalls].map(({ tenant }) => tenant)
      expect(new Set(shown)).toEqual(new Set(all))
    }),
    RUNS,
  )
})

const reading = fc.constantFrom("readable", "broken", "broken, with its id")

/** A fleet at rest, some of whose files then cannot be read, while others are edited. Returns who has lost what. */
function losses(
  episodes: Parameters<typeof live>[1],
  edits: readonly Parameters<typeof befall>[1][],
  readings: readonly string[],
  interrupted: Parameters<typeof runPass>[2],
  rules = RULES,
): string[] {
  const life = live(beginning(episodes), episodes)
  const { world } = life
  converge(world, life.files)
  const before = IDS.filter((each) => served(world, each))
  for (const event of edits) befall(life, event)
  const declared = life.files.tenants.map(({ id: each }) => each)
  const { tenants } = life.files
  const files = {
    tenants: tenants.filter((_, n) => readings[n % readings.length] === "readable"),
    unreadable: tenants.filter((_, n) => readings[n % readings.length] !== "readable").length,
    held: new Set(declared.filter((_, n) => readings[n % readings.length] === "broken, with its id")),
  }
  if (files.unreadable === 0) return []
  runPass(world, planPass(world, files, rules), interrupted)
  converge(world, files, rules)
  return [...world.harm, ...before.filter((each) => served(world, each)?.owner !== each)]
}

const unreadable = fc.tuple(
  history(edit),
  fc.array(edit, { maxLength: 2 }),
  fc.array(reading, { minLength: 1, maxLength: 5 }),
  course,
)

test("whichever files cannot be read, nobody who was served loses anything", () => {
  fc.assert(
    fc.property(unreadable, ([episodes, edits, readings, interrupted]) => {
      const quiet = edits.filter(({ kind }) => kind !== "days")
      expect(losses(episodes, quiet, readings, interrupted)).toEqual([])
    }),
    RUNS,
  )
})

test("control: where unreadable files are no objection, tenants are lost", () => {
  const trusting = {
    diff,
    restrain: (...[whole, rules, about]: Parameters<typeof restrain>) =>
      restrain(whole, rules, { ...about, unreadable: 0 }),
  }
  const isHarmless = ([episodes, edits, readings, interrupted]: typeof unreadable extends fc.Arbitrary<
    infer T
  >
    ? T
    : never) => losses(episodes, edits, readings, interrupted, trusting).length === 0
  expect(fc.check(fc.property(unreadable, isHarmless), RUNS).failed).toBe(true)
})

/** The checker can fail: plans that are wrong on purpose are found out. */
const isForbidden = (plan: (wanted: Desired, world: Observed) => Plan) =>
  fc.check(
    fc.property(
      desired,
      observed,
      (wanted, world) => forbiddenIn(plan(wanted, world), wanted, world, NOW).length === 0,
    ),
    RUNS,
  ).failed

const unrestrained = (wanted: Desired, world: Observed): Plan => ({
  ...diff(wanted, world, NOW),
  withheld: [],
})

test("control: without the look for free names a plan takes names that others have", () => {
  expect(isForbidden(unrestrained)).toBe(true)
})

const blind = (world: Observed): Observed => ({
  ...world,
  databases: world.databases.map((place) => ({ ...place, marker: undefined })),
})
const adopting = (world: Observed): Observed => ({
  ...world,
  secrets: world.secrets.map((secret) => ({
    ...secret,
    entry: secret.entry && { ...secret.entry, fleet: FLEET },
  })),
})

test("control: a plan by names alone, or one that takes another fleet's ledger for its own, is found out", () => {
  expect(isForbidden((wanted, world) => unrestrained(wanted, blind(world)))).toBe(true)
  expect(isForbidden((wanted, world) => unrestrained(wanted, adopting(world)))).toBe(true)
})

test("control: without a grace period data is dropped before its time", () => {
  expect(isForbidden((wanted, world) => unrestrained({ ...wanted, gracePeriod: 0 }, world))).toBe(true)
})
