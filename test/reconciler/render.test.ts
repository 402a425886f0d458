import { expect, test } from "vitest"
import type { FleetStatus } from "../../reconciler/controller.ts"
import { TerminalError, TransientError } from "../../reconciler/errors.ts"
import { renderOutcome, renderPlan, renderStatus } from "../../reconciler/render.ts"
import { ADA, BOB, change, CLEO, NOW } from "./samples.ts"

const review = {
  read: {
    tenants: [],
    held: new Set<never>(),
    problems: [{ file: "tenants/x.yaml", line: 3, key: "name", message: "is missing" }],
  },
  migrations: { fault: new TerminalError("BadMigration", "migrations/0006_x.sql:1: holds no statement") },
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
    unmanaged: { databases: ["neondb", "sales"], secrets: ["database-password"] },
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
    "plan: 2 to change, 1 withheld, 1 stalled, 1 faults in files",
  ])
})

test("an outcome is one line, with its time or with its reason", () => {
  const done = { change: change("create", ADA, "Ada"), ms: 1234 }
  expect(renderOutcome(done)).toBe("✓ create Ada in 1.2 s")
  expect(renderOutcome({ ...done, error: new TransientError("NeonLocked", "try later") })).toBe(
    "✗ create Ada: NeonLocked: try later",
  )
})

const row = (
  name: string,
  condition: "Ready" | "Stalled",
  message: string,
): FleetStatus["tenants"][number] => ({
  id: ADA,
  name,
  state: "active",
  database: undefined,
  schema: "0003:9f86d081884c7d65",
  condition,
  reason: condition === "Ready" ? "Served" : "NameTaken",
  message,
  since: NOW - 90_000,
})

test("the status is a table, and below it what is wrong", () => {
  const status: FleetStatus = {
    tenants: [
      row("Ada", "Ready", ""),
      { ...row("Northwind", "Stalled", "choose another"), schema: undefined },
    ],
    problems: ["tenants/x.yaml:3: name: is missing"],
    lastPass: undefined,
    lastError: "Neon is away",
  }
  expect(renderStatus(status, NOW).split("\n")).toEqual([
    "NAME       CONDITION  REASON     STATE   SCHEMA  SINCE",
    "Ada        Ready      Served     active  0003    90 s",
    "Northwind  Stalled    NameTaken  active  -       90 s",
    "Northwind: choose another",
    "tenants/x.yaml:3: name: is missing",
    "last pass failed: Neon is away",
  ])
})

test("an empty fleet is a table without rows", () => {
  const status: FleetStatus = { tenants: [], problems: [], lastPass: undefined, lastError: undefined }
  expect(renderStatus(status, NOW)).toBe("NAME  CONDITION  REASON  STATE  SCHEMA  SINCE")
})
