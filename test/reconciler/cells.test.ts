import fc from "fast-check"
import { expect, test } from "vitest"
import { openRoom, roomiest } from "../../reconciler/cells.ts"
import { diff, type Observed } from "../../reconciler/plan.ts"
import { restrain } from "../../reconciler/policy.ts"
import { type Tenant, TenantId } from "../../reconciler/tenant.ts"
import { ADA, BOB, database, desired, entry, LENIENT, NOW, retired, secretOf } from "./samples.ts"

const ROOM = 500
const cells = fc
  .array(fc.integer({ min: 0, max: 520 }), { minLength: 1, maxLength: 6 })
  .map((counts) => new Map(counts.map((count, n) => [`cell-${n}`, count])))

test("a new tenant goes where the fewest databases are, of equals to the first, and nowhere where all is full", () => {
  fc.assert(
    fc.property(cells, (counts) => {
      const cell = roomiest(counts)
      const fewest = Math.min(...counts.values())
      const first = [...counts].find(([, count]) => count === fewest)![0]
      expect(cell).toBe(fewest < ROOM ? first : undefined)
    }),
  )
})

const tenant = (n: number, more: Partial<Tenant> = {}): Tenant => ({
  id: TenantId.parse(`10000000-0000-4000-8000-${String(n).padStart(12, "0")}`),
  name: `Tenant-${n}`,
  ...more,
})

/** How many databases each cell would have after one pass over new tenants, some of which want the second cell. */
function filled(counts: ReadonlyMap<string, number>, wishes: readonly boolean[], isForgetful = false) {
  const taken = [...counts].flatMap(([cell, count]) => Array.from({ length: count }, () => ({ cell })))
  const names = [...counts.keys()]
  const room = openRoom(names, taken)
  const placed = wishes.map((wish, n) => {
    const one = tenant(n, wish ? { cell: names.at(-1)! } : {})
    return isForgetful ? openRoom(names, taken)(one) : room(one)
  })
  return names.map((cell) => counts.get(cell)! + placed.filter((each) => each === cell).length)
}

const several = fc.tuple(cells, fc.array(fc.boolean(), { maxLength: 40 }))
const isFair = (counts: ReadonlyMap<string, number>, wishes: readonly boolean[], isForgetful: boolean) => {
  const after = filled(
    counts,
    wishes.map(() => false),
    isForgetful,
  )
  // Where one was placed, no cell is left with room for it that has two less.
  return after.every((count, n) => {
    const before = [...counts.values()][n]!
    return count === before || (count <= ROOM && after.every((other) => other >= count - 1))
  })
}

test("those whom one pass places are spread, and none goes where there is no room", () => {
  fc.assert(fc.property(several, ([counts, wishes]) => isFair(counts, wishes, false)))
  fc.assert(
    fc.property(several, ([counts, wishes]) => {
      const wanted = wishes.filter(Boolean).length
      expect(filled(counts, wishes).at(-1)!).toBeGreaterThanOrEqual([...counts.values()].at(-1)! + wanted)
    }),
  )
})

test("control: who does not count what the same pass places puts all of them in one cell", () => {
  const unfair = fc.property(several, ([counts, wishes]) => isFair(counts, wishes, true))
  expect(fc.check(unfair, { numRuns: 2000 }).failed).toBe(true)
})

const TWO = ["cell-1", "cell-2"]
const ada = { id: ADA, name: "Ada" }
const wants = (...tenants: Tenant[]) => ({ ...desired(...tenants), cells: TWO })
const seen = (observed: Partial<Observed>, ...tenants: Tenant[]) => {
  const { changes, stalls } = diff(wants(...tenants), { databases: [], secrets: [], ...observed }, NOW)
  return [
    ...changes.map(
      ({ kind, cell, actions }) => `${kind} in ${cell}: ${actions.map((one) => one.kind).join(" ")}`,
    ),
    ...stalls.map(({ reason, message }) => `${reason}: ${message}`),
  ]
}
const inCell = (id: TenantId, name: string, cell: string) => secretOf(entry(id, name, { cell }))

test("a new tenant is reserved, made and published in one cell: its file's, or the one with most room", () => {
  const steps = "reserve create secure migrate credential publish"
  const databases = [database("neondb", null, "cell-1")]
  expect(seen({ databases }, ada)).toEqual([`create in cell-2: ${steps}`])
  expect(seen({ databases }, { ...ada, cell: "cell-1" })).toEqual([`create in cell-1: ${steps}`])
  const { changes } = diff(wants(ada), { databases, secrets: [] }, NOW)
  for (const action of changes[0]!.actions) if ("entry" in action) expect(action.entry.cell).toBe("cell-2")
})

test("a tenant stays where the ledger has it, however full that cell is", () => {
  const others = Array.from({ length: 30 }, (_, n) => database(`other-${n}`, null, "cell-1"))
  const reserved = secretOf(entry(ADA, "Ada", { cell: "cell-1", state: "reserved", schema: "none" }))
  expect(seen({ databases: others, secrets: [reserved] }, ada)).toEqual([
    "create in cell-1: create secure migrate credential publish",
  ])
})

test("a reservation takes up room before its database is there", () => {
  const reserved = secretOf(entry(ADA, "Ada", { cell: "cell-1", state: "reserved", schema: "none" }))
  const bob = { id: BOB, name: "Bob" }
  expect(seen({ secrets: [reserved] }, bob, ada).map((line) => line.split(":")[0])).toEqual([
    "create in cell-1",
    "create in cell-2",
  ])
})

test("all cells are full: a person makes another", () => {
  const databases = TWO.flatMap((cell) =>
    Array.from({ length: ROOM }, (_, n) => database(`d${n}`, null, cell)),
  )
  expect(seen({ databases }, ada)).toEqual([
    "CellsFull: every cell has the 500 databases that Neon takes in a branch: make a project, and add it to NEON_CELLS",
  ])
})

test("a file that wants another cell, or one that is not there, changes nothing", () => {
  const world = {
    databases: [database("products-Ada", ADA, "cell-1")],
    secrets: [inCell(ADA, "Ada", "cell-1")],
  }
  expect(seen(world, { ...ada, name: "Eve", cell: "cell-2" })).toEqual([
    'CellChange: its file says cell: cell-2, and it lives in cell-1, from where it is not moved: put "cell: cell-1" back, or remove the line',
  ])
  expect(seen({}, { ...ada, cell: "cell-9" })).toEqual([
    "CellUnknown: its file says cell: cell-9, which is not configured: write one of cell-1, cell-2, or add it to NEON_CELLS",
  ])
})

test.for(["active", "suspended", "reserved", "purging"] as const)(
  "%s, in a cell that is not configured: nothing is made, served or removed, with a file or without",
  (state) => {
    const there = entry(ADA, "Ada", {
      cell: "cell-9",
      state,
      schema: state === "reserved" ? "none" : "0001:aa",
    })
    const said =
      "CellUnknown: the ledger says that it lives in the cell cell-9, which is not configured: add it with its branch to NEON_CELLS"
    // A database of that name in another cell is not its own.
    const databases = [database("products-Ada", null, "cell-1")]
    for (const of of [there, { ...retired(ADA, "Ada", 400), cell: "cell-9" }])
      for (const tenants of [[ada], []])
        expect(seen({ databases, secrets: [secretOf(of)] }, ...tenants)).toEqual([said])
  },
)

test("the marker says where a tenant lives, whatever the tag says; a new credential leads there", () => {
  const databases = [database("products-Ada", ADA, "cell-2")]
  for (const cell of ["cell-1", "cell-9"])
    expect(seen({ databases, secrets: [inCell(ADA, "Ada", cell)] }, ada)).toEqual([
      "repair in cell-2: secure credential publish",
    ])
  const shelved = [database(`retired-${ADA}`, ADA, "cell-2")]
  expect(seen({ databases: shelved, secrets: [secretOf(retired(ADA, "Ada", 1))] })).toEqual([
    "repair in cell-2: record secure close",
  ])
})

test("one marker in two cells: a person decides, and hears which", () => {
  const databases = TWO.map((cell) => database("products-Ada", ADA, cell))
  expect(seen({ databases, secrets: [inCell(ADA, "Ada", "cell-1")] }, ada)).toEqual([
    "MarkerAmbiguous: more than one database carries this tenant's marker: cell-1/products-Ada, cell-2/products-Ada; remove the comment from those that are not the tenant's",
  ])
})

test("a name is one in the fleet: tenants of two cells who take each other's names do so as in one", () => {
  const databases = [database("products-Ada", ADA, "cell-1"), database("products-Bob", BOB, "cell-2")]
  const secrets = [inCell(ADA, "Ada", "cell-1"), inCell(BOB, "Bob", "cell-2")]
  expect(seen({ databases, secrets }, { ...ada, name: "Bob" }, { id: BOB, name: "Ada" })).toEqual([
    "rename in cell-1: record close rename rename credential publish",
    "rename in cell-2: record close rename credential publish",
  ])
})

test("a new tenant waits for a name that a tenant has in another cell, be its database there or not seen", () => {
  const file = { id: BOB, name: "ada", cell: "cell-2" }
  const stalled = (observed: Observed) =>
    restrain(diff(wants(file), observed, NOW), LENIENT, {
      unreadable: 1,
      desired: 1,
      fleet: 2,
      databases: observed.databases,
    }).stalls.map(({ name, reason, message }) => `${name} ${reason}: ${message}`)
  const secrets = [inCell(ADA, "Ada", "cell-1")]
  const taken =
    "ada NameTaken: database cell-1/products-Ada exists and is not this tenant's: choose another name, or move that database away"
  expect(stalled({ databases: [database("products-Ada", ADA, "cell-1")], secrets })).toEqual([taken])
  expect(stalled({ databases: [], secrets })).toEqual([expect.stringMatching(/^Ada DatabaseMissing/), taken])
  const there = entry(ADA, "Ada", { cell: "cell-9" })
  for (const one of [there, { ...there, state: "reserved", schema: "none" } as const])
    expect(stalled({ databases: [], secrets: [secretOf(one)] })).toEqual([
      expect.stringMatching(/^Ada CellUnknown/),
      taken.replace("cell-1", "cell-9"),
    ])
  // A stranger takes a name in its own cell only.
  expect(stalled({ databases: [database("products-ada", null, "cell-1")], secrets: [] })).toEqual([])
})
