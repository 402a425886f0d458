import { expect, test } from "vitest"
import type { Action } from "../../reconciler/action.ts"
import type { Policy } from "../../reconciler/policy.ts"
import { retiredDatabaseName, secretName } from "../../reconciler/tenant.ts"
import { befall, type Event, IDS, type Life } from "./histories.ts"
import { converge, planPass, readable, RULES, runPass, UNDISTURBED } from "./passes.ts"
import { addForeignDatabase, CELLS, emptyWorld, served } from "./simulation.ts"
import { faultsOf } from "./verdict.ts"

const [ADA, BOB, CLEO] = [IDS[0]!, IDS[1]!, IDS[2]!]

/** A fleet at rest with these tenants. */
function fleetOf(...ids: readonly (typeof ADA)[]): Life {
  const life: Life = { world: emptyWorld(CELLS.slice(0, 1)), files: readable([]) }
  for (const [n, id] of ids.entries()) befall(life, { kind: "declare", id, name: ["Ada", "Bob", "Cleo"][n]! })
  converge(life.world, life.files)
  return life
}

/** A pass for one tenant, that ends with everything when `last` is done. */
function passUntil({ world, files }: Life, last: Action["kind"]): void {
  const plan = planPass(world, files)
  const actions = plan.changes[0]?.actions ?? []
  expect(plan.changes).toHaveLength(1)
  runPass(world, plan, { ...UNDISTURBED, steps: actions.findIndex(({ kind }) => kind === last) + 1 })
}

const happen = (life: Life, ...events: Event[]) => {
  for (const event of events) befall(life, event)
}

/** A fleet in which the repair of what befell Bob's secret was cut short: its password is new, and not published. */
function halfRepaired(event: Event): Life {
  const life = fleetOf(ADA, BOB)
  happen(life, event)
  passUntil(life, "credential")
  return life
}

const expectAtRest = ({ world, files }: Life) => {
  converge(world, files)
  expect(faultsOf(world, files)).toEqual([])
}

const addBob: Event = { kind: "declare", id: BOB, name: "Bob" }
const renameBob: Event = { kind: "declare", id: BOB, name: "Robert" }
const removeBob: Event = { kind: "remove", id: BOB }

test("a file that goes before its new database was marked leaves no orphan", () => {
  const life = fleetOf(ADA)
  happen(life, addBob)
  passUntil(life, "create")
  happen(life, removeBob)
  expectAtRest(life)
})

test("a tenant that was retired half made comes back with schema and seed, before it is served", () => {
  const life = fleetOf(ADA, BOB)
  happen(life, { kind: "declare", id: CLEO, name: "Cleo" })
  passUntil(life, "secure")
  happen(life, { kind: "remove", id: CLEO })
  converge(life.world, life.files)
  happen(life, { kind: "declare", id: CLEO, name: "Cleo" })
  expectAtRest(life)
})

test("a tenant whose secret is lost is renamed though somebody is connected", () => {
  const life = fleetOf(ADA, BOB)
  happen(life, { kind: "secret lost", id: BOB, soft: true }, renameBob)
  expectAtRest(life)
})

test("a file that comes back with another name finds a database that was not closed yet", () => {
  const life = fleetOf(ADA, BOB)
  happen(life, removeBob)
  passUntil(life, "record")
  happen(life, renameBob)
  expectAtRest(life)
})

test.each([
  { kind: "approve", id: BOB, verb: "retire" },
  { kind: "rotate", id: BOB },
] as const)("$kind does not hand out a password that a repair, cut short, has replaced", (event) => {
  const life = halfRepaired({ kind: "secret disabled", id: BOB })
  happen(life, event)
  expectAtRest(life)
})

test("protection does not hide that a repair was cut short, of a secret that was disabled or sent to another cell", () => {
  const protect: Event = { kind: "protected", id: BOB, is: true }
  for (const event of [
    { kind: "secret disabled", id: BOB },
    { kind: "tags edited", id: BOB, tags: { cell: "cell-2" } },
  ] as const) {
    const life = halfRepaired(event)
    happen(life, protect)
    expectAtRest(life)
  }
})

test("a removal that a person allowed, and that was begun, is finished without asking again", () => {
  const life = fleetOf(ADA, BOB)
  happen(life, { kind: "protected", id: BOB, is: true })
  converge(life.world, life.files)
  happen(life, removeBob, { kind: "approve", id: BOB, verb: "retire" })
  passUntil(life, "record")
  expectAtRest(life)
  expect(life.world.databases.get(`cell-1/${retiredDatabaseName(BOB)}`)?.owner).toBe(BOB)
})

test("a new password that was not published yet is no trap for a rename", () => {
  const life = halfRepaired({ kind: "secret disabled", id: BOB })
  happen(life, renameBob)
  expectAtRest(life)
})

test("a secret that somebody disables during a rename is no trap", () => {
  const life = fleetOf(ADA, BOB)
  happen(life, renameBob)
  passUntil(life, "record")
  happen(life, { kind: "secret disabled", id: BOB })
  expectAtRest(life)
})

test("a tenant whose file and secret go together is retired all the same", () => {
  const life = fleetOf(ADA, BOB)
  happen(life, removeBob, { kind: "secret lost", id: BOB, soft: false })
  expectAtRest(life)
})

test("a retired tenant whose secret is lost gets a new entry, and so an end", () => {
  const life = fleetOf(ADA, BOB)
  happen(life, removeBob)
  converge(life.world, life.files)
  happen(life, { kind: "secret lost", id: BOB, soft: false })
  expectAtRest(life)
})

test("a retired tenant's secret that somebody enables is disabled again", () => {
  const life = fleetOf(ADA, BOB)
  happen(life, removeBob)
  converge(life.world, life.files)
  life.world.secrets.get(secretName(BOB))!.enabled = true
  expectAtRest(life)
})

test("a retired tenant whose date of retirement somebody removes gets a new one, and so an end", () => {
  const life = fleetOf(ADA, BOB)
  happen(life, removeBob)
  converge(life.world, life.files)
  happen(life, { kind: "tags edited", id: BOB, tags: { "retired-at": undefined } })
  expectAtRest(life)
})

test("a file that comes back when its data is purged, and its entry is not yet, is a new tenant", () => {
  const life = fleetOf(ADA, BOB)
  happen(life, removeBob)
  converge(life.world, life.files)
  happen(life, { kind: "days", days: 31 })
  passUntil(life, "drop")
  happen(life, addBob)
  expectAtRest(life)
})

test("a rename whose name is taken midway: the tenant is served from where it is", () => {
  const life = fleetOf(ADA, BOB)
  happen(life, renameBob)
  passUntil(life, "close")
  addForeignDatabase(life.world, "cell-1/products-Robert", null)
  converge(life.world, life.files)
  expect(served(life.world, BOB)?.owner).toBe(BOB)
})

test("a ledger that is lost comes back for retired tenants too, however few removals are allowed", () => {
  const policy: Policy = { deletion: "forbid", maxRemovals: 0, maxRemovalShare: 0 }
  const { world, files } = fleetOf(ADA, BOB)
  const rest = readable(files.tenants.filter(({ id }) => id !== BOB))
  converge(world, rest)
  world.secrets.clear()
  runPass(world, planPass(world, rest, RULES, policy))
  expect(world.databases.get(`cell-1/${retiredDatabaseName(BOB)}`)?.owner).toBe(BOB)
  expect(world.secrets.get(secretName(BOB))?.tags["state"]).toBe("retired")
})

test("a database that goes behind our back is not made anew", () => {
  const life = fleetOf(ADA, BOB)
  life.world.databases.delete("cell-1/products-Bob")
  converge(life.world, life.files)
  expect([...life.world.databases.keys()]).toEqual(["cell-1/products-Ada"])
  expect(planPass(life.world, life.files).stalls).toMatchObject([{ tenant: BOB, reason: "DatabaseMissing" }])
})

test("a database that moves behind our back is found by its marker, and brought home", () => {
  const life = fleetOf(ADA, BOB)
  const database = life.world.databases.get("cell-1/products-Bob")!
  life.world.databases.delete("cell-1/products-Bob")
  life.world.databases.set("cell-1/products-Sales", database)
  expectAtRest(life)
})

test("a suspended tenant that may not go, and whose file goes amid a rename, has one name in the end", () => {
  const life = fleetOf(ADA, BOB)
  happen(life, { kind: "suspended", id: BOB, is: true }, { kind: "protected", id: BOB, is: true })
  converge(life.world, life.files)
  happen(life, renameBob)
  passUntil(life, "rename")
  happen(life, removeBob)
  expectAtRest(life)
  expect(life.world.secrets.get(secretName(BOB))?.tags).toMatchObject({
    tenant: "Robert",
    database: "products-Robert",
    state: "suspended",
  })
})

test("what is lost keeps its name, so that it can be brought back", () => {
  const life = fleetOf(ADA, BOB)
  happen(life, { kind: "database lost", id: BOB }, removeBob, { kind: "declare", id: CLEO, name: "Bob" })
  converge(life.world, life.files)
  expect(planPass(life.world, life.files).stalls).toMatchObject([
    { tenant: BOB, reason: "DatabaseMissing" },
    { tenant: CLEO, reason: "NameTaken" },
  ])
})

test("what is lost keeps its name in every cell, though a stranger's database has its place", () => {
  const life = fleetOf(ADA, BOB)
  life.world.cells = CELLS
  life.world.databases.delete("cell-1/products-Bob")
  addForeignDatabase(life.world, "cell-1/products-Bob", null)
  happen(life, removeBob, { kind: "declare", id: CLEO, name: "Bob" })
  converge(life.world, life.files)
  expect(life.world.harm).toEqual([])
  expect([...life.world.databases.keys()]).toEqual(["cell-1/products-Ada", "cell-1/products-Bob"])
  expect(planPass(life.world, life.files).stalls).toMatchObject([
    { tenant: BOB, reason: "MarkerMismatch" },
    { tenant: CLEO, reason: "NameTaken" },
  ])
})

test("what is made anew under another name is not announced where a stranger's database has that name", () => {
  const life = fleetOf(ADA, BOB)
  happen(life, { kind: "database lost", id: BOB }, { kind: "approve", id: BOB, verb: "recreate" }, renameBob)
  addForeignDatabase(life.world, "cell-1/products-Robert", null)
  expect(converge(life.world, life.files)).toBe(0)
  expect(planPass(life.world, life.files).stalls).toMatchObject([{ tenant: BOB, reason: "NameTaken" }])
  life.world.databases.delete("cell-1/products-Robert")
  expectAtRest(life)
})

test("a secret that was disabled is mended though its tenant waits for a name", () => {
  for (const event of [
    { kind: "secret disabled", id: BOB },
    { kind: "tags edited", id: BOB, tags: { cell: "cell-2" } },
  ] as const) {
    const life = fleetOf(ADA, BOB)
    addForeignDatabase(life.world, "cell-1/products-Robert", null)
    happen(life, renameBob, event)
    converge(life.world, life.files)
    expect(served(life.world, BOB)?.owner).toBe(BOB)
    expect(planPass(life.world, life.files)).toMatchObject({ changes: [], stalls: [{ reason: "NameTaken" }] })
  }
})

test("a name that is given up in capitals and taken in small letters leads to one tenant at every moment", () => {
  for (const turn of [0, 1]) {
    const life = fleetOf(ADA, BOB)
    happen(life, { kind: "declare", id: ADA, name: "BOB" }, { kind: "declare", id: BOB, name: "ada" })
    runPass(life.world, planPass(life.world, life.files), { ...UNDISTURBED, turns: [turn] })
    expectAtRest(life)
  }
})

test("who only changes the case of its name is renamed once", () => {
  const life = fleetOf(ADA, BOB)
  happen(life, { kind: "declare", id: BOB, name: "BOB" })
  const { changes } = planPass(life.world, life.files)
  expect(changes.flatMap(({ actions }) => actions.filter(({ kind }) => kind === "rename"))).toHaveLength(1)
  expectAtRest(life)
})
