import { stripVTControlCharacters } from "node:util"
import { expect, test } from "vitest"
import { TerminalError, TransientError } from "../../reconciler/errors.ts"
import { renderOutcome, renderPlan } from "../../reconciler/render-plan.ts"
import { ADA, BOB, change, CLEO } from "./samples.ts"

const review = {
  read: {
    tenants: [],
    held: new Set<never>(),
    problems: [{ file: "tenants/x.yaml", line: 3, key: "name", message: "is missing" }],
  },
  migrations: { fault: new TerminalError("BadMigration", "migrations/0006_x.sql:1: holds no statement") },
  cells: ["cell-1"],
  plan: {
    changes: [
      change(
        "create",
        ADA,
        "Ada",
        { kind: "create", database: "products-Ada" },
        { kind: "drop-roles", database: undefined },
      ),
      change("retire", BOB, "Bob", { kind: "close", database: "products-Bob" }),
    ],
    withheld: [
      { change: change("purge", CLEO, "Cleo"), reason: "DeletionForbidden", message: "bring it back" },
    ],
    stalls: [{ tenant: CLEO, name: "Cleo", reason: "NameTaken", message: "choose another" }],
    unmanaged: {
      databases: [
        { cell: "cell-1", name: "neondb" },
        { cell: "cell-1", name: "sales" },
      ],
      secrets: ["database-password"],
    },
  },
} as unknown as Parameters<typeof renderPlan>[0]

test("a plan shows faults first, then removals, then the rest, then what waits and why, and counts them", () => {
  expect(renderPlan(review).split("\n")).toEqual([
    "! tenants/x.yaml:3: name: is missing",
    "! migrations/0006_x.sql:1: holds no statement",
    "- retire Bob (close)",
    "+ create Ada (create > drop-roles)",
    "! withheld: purge Cleo: DeletionForbidden: bring it back",
    "! stalled: Cleo: NameTaken: choose another",
    "unmanaged databases, never touched: neondb, sales",
    "unmanaged secrets, never touched: database-password",
    "plan: 2 to change (1 to remove), 1 withheld, 1 stalled, 2 faults in files",
  ])
})

test("where there are several cells, what is planned and what is not ours say which is theirs", () => {
  const lines = renderPlan({ ...review, cells: ["cell-1", "cell-2"] }).split("\n")
  expect(lines).toContain("- retire Bob in cell-1 (close)")
  expect(lines).toContain("unmanaged databases, never touched: cell-1/neondb, cell-1/sales")
})

test("an outcome is one line, with its time or with its reason", () => {
  const done = { change: change("create", ADA, "Ada"), ms: 1234 }
  expect(renderOutcome(done)).toBe("✓ create Ada in 1.2 s")
  expect(renderOutcome({ ...done, error: new TransientError("NeonLocked", "try later") })).toBe(
    "✗ create Ada: NeonLocked: try later",
  )
})

test("those that only wait for their turn are one line, whatever their number", () => {
  const waiting = { reason: "RolloutWaiting", message: "waits for its wave", isStalled: false }
  const withheld = Array.from({ length: 9975 }, () => ({ change: change("migrate", ADA, "Ada"), ...waiting }))
  const plan = { ...review.plan, changes: [], stalls: [], withheld }
  const unmanaged = {
    databases: Array.from({ length: 500 }, (_, n) => ({ cell: "cell-1", name: `db${n}` })),
    secrets: [],
  }
  const lines = renderPlan({ ...review, plan: { ...plan, unmanaged } }).split("\n")
  expect(lines).toEqual([
    "! tenants/x.yaml:3: name: is missing",
    "! migrations/0006_x.sql:1: holds no statement",
    "… 9975 to follow: migrate: RolloutWaiting: waits for its wave",
    expect.stringMatching(/^unmanaged databases, never touched: db0, .*, db19 and 480 more$/),
    "plan: 0 to change, 9975 to follow, 0 withheld, 0 stalled, 2 faults in files",
  ])
})

test("a name that would move the cursor is shown, and moves nothing", () => {
  const unmanaged = {
    databases: ["a\u001B[2Jb", "c\u202Ed"].map((name) => ({ cell: "cell-1", name })),
    secrets: [],
  }
  const shown = renderPlan({ ...review, plan: { ...review.plan, unmanaged } })
  expect(shown).toContain("unmanaged databases, never touched: a?[2Jb, c?d")
})

const paint = (colour: string, text: string) => `<${colour}>${text}`

test("colours tell removals from the rest, and are left out where nobody sees them", () => {
  const lines = renderPlan(review, { width: 80, paint }).split("\n")
  expect(lines.map((line) => line.split(">")[0])).toEqual([
    "<red",
    "<red",
    "<red",
    "<green",
    "<yellow",
    "<yellow",
    "unmanaged databases, never touched: neondb, sales",
    "unmanaged secrets, never touched: database-password",
    "<bold",
  ])
  expect(stripVTControlCharacters(renderPlan(review))).toBe(renderPlan(review))
})
