import { expect, test } from "vitest"
import type { Plan } from "../../reconciler/policy.ts"
import { type Findings, statusOf } from "../../reconciler/status.ts"
import { ADA, BOB, change, CLEO, entry, FLEET, NOW, retired, secretOf } from "./samples.ts"

const NOTHING: Plan = { changes: [], withheld: [], stalls: [], unmanaged: { databases: [], secrets: [] } }

const findings = (more: Partial<Findings>): Findings => ({
  fleet: FLEET,
  tenants: [],
  held: new Set(),
  cells: ["cell-1"],
  observed: { databases: [], secrets: [] },
  plan: NOTHING,
  errors: new Map(),
  ...more,
})

const see = (more: Partial<Findings>) =>
  statusOf(findings(more), [], NOW).map(
    ({ name, state, condition, reason }) => `${name} ${state} ${condition}/${reason}`,
  )

const tenants = [
  { id: BOB, name: "Bob" },
  { id: ADA, name: "Ada" },
]
const secrets = [secretOf(entry(ADA, "Ada")), secretOf(retired(CLEO, "Cleo", 1))]
const observed = { databases: [], secrets }

test("a tenant whose file is faulty is Stalled, whatever the ledger says", () => {
  expect(see({ tenants, observed, held: new Set([ADA]) })).toContain("Ada active Stalled/FileRefused")
})

test("the cell of a tenant is shown where there are several, and goes without saying where there is one", () => {
  const cellsOf = (...cells: string[]) =>
    statusOf(findings({ tenants, observed, cells }), [], NOW).map(({ cell }) => cell)
  expect(cellsOf("cell-1", "cell-2")).toEqual(["cell-1", undefined, "cell-1"])
  expect(cellsOf("cell-1")).toEqual([undefined, undefined, undefined])
})

test("every tenant with a file or an entry is shown once, by name", () => {
  const plan = { ...NOTHING, changes: [change("create", BOB, "Bob")] }
  expect(see({ tenants, observed, plan })).toEqual([
    "Ada active Ready/Served",
    "Bob absent Reconciling/Applying",
    "Cleo retired Ready/Retired",
  ])
})

test("secrets of other fleets and of nobody are not tenants", () => {
  const foreign = secretOf(entry(BOB, "Bob", { fleet: "another" }))
  const nobody = {
    name: "database-password",
    enabled: true,
    owner: undefined,
    entry: undefined,
    changedAt: NOW,
  }
  expect(see({ observed: { databases: [], secrets: [foreign, nobody] } })).toEqual([])
})

const renaming = change("rename", ADA, "Ada")
const error = (isTerminal: boolean) => new Map([[ADA, { reason: "Why", message: "how", isTerminal }]])

test.for<[string, Partial<Findings>, string]>([
  ["that is changed", { plan: { ...NOTHING, changes: [renaming] } }, "Reconciling/Applying"],
  [
    "whose change failed for the moment",
    { plan: { ...NOTHING, changes: [renaming] }, errors: error(false) },
    "Reconciling/Why",
  ],
  [
    "whose change failed for good",
    { plan: { ...NOTHING, changes: [renaming] }, errors: error(true) },
    "Stalled/Why",
  ],
  [
    "whose change waits for a person",
    { plan: { ...NOTHING, withheld: [{ change: renaming, reason: "TooMany", message: "" }] } },
    "Stalled/TooMany",
  ],
  [
    "that cannot be planned for",
    { plan: { ...NOTHING, stalls: [{ tenant: ADA, name: "Ada", reason: "NameTaken", message: "" }] } },
    "Stalled/NameTaken",
  ],
])("a tenant %s is shown so", ([, more, expected]) => {
  expect(see({ tenants: [{ id: ADA, name: "Ada" }], observed, ...more })[0]).toBe(`Ada active ${expected}`)
})

test("since when: kept while condition and reason stay, new when either changes", () => {
  const of = (errors: Findings["errors"], previous: Parameters<typeof statusOf>[1], now: number) =>
    statusOf(findings({ tenants: [{ id: ADA, name: "Ada" }], observed, errors }), previous, now)
  const first = of(new Map(), [], 1)
  const second = of(new Map(), first, 2)
  const failed = of(error(false), second, 3)
  const worse = of(error(true), failed, 4)
  const still = of(error(true), worse, 5)
  const since = [first, second, failed, worse, still].map((list) => list[0]?.since)
  expect(since).toEqual([1, 1, 3, 4, 4])
})

test("a stalled tenant says what is the matter", () => {
  const stalls = [{ tenant: BOB, name: "Bob", reason: "NameTaken", message: "choose another" }]
  const [, bob] = statusOf(findings({ tenants, observed, plan: { ...NOTHING, stalls } }), [], NOW)
  expect(bob).toEqual({
    id: BOB,
    name: "Bob",
    state: "absent",
    database: undefined,
    schema: undefined,
    condition: "Stalled",
    reason: "NameTaken",
    message: "choose another",
    since: NOW,
  })
})
