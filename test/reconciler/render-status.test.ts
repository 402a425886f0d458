import { expect, test } from "vitest"
import type { FleetStatus } from "../../reconciler/controller.ts"
import { choose, renderAge, renderStatus } from "../../reconciler/render-status.ts"
import type { TenantStatus } from "../../reconciler/status.ts"
import { TenantId } from "../../reconciler/tenant.ts"
import { fit, PLAIN, widthOf } from "../../reconciler/terminal.ts"
import { NOW } from "./samples.ts"

const tenant = (n: number, name: string, more: Partial<TenantStatus> = {}): TenantStatus => ({
  id: TenantId.parse(`10000000-0000-4000-8000-${String(n).padStart(12, "0")}`),
  name,
  state: "active",
  database: undefined,
  schema: "0003:9f86d081884c7d65",
  condition: "Ready",
  reason: "Served",
  message: "",
  since: NOW - 90_000,
  ...more,
})
const STALLED = { condition: "Stalled", reason: "NameTaken", message: "choose another" } as const

const status = (...tenants: TenantStatus[]): FleetStatus => ({
  tenants,
  problems: [],
  lastPass: undefined,
  lastError: undefined,
})
const ALL = { page: 1, limit: 100 }
const lines = (of: FleetStatus, choice: Parameters<typeof renderStatus>[1] = ALL, width = 100) =>
  renderStatus(of, choice, NOW, { ...PLAIN, width }).split("\n")

test("who needs a person comes first, and below the table is why, what else is wrong, and a count", () => {
  const fleet = {
    ...status(tenant(1, "Ada"), tenant(2, "Northwind", { ...STALLED, schema: undefined })),
    problems: ["tenants/x.yaml:3: name: is missing"],
    lastError: "Neon is away",
  }
  expect(lines(fleet)).toEqual([
    "NAME       CONDITION  REASON     STATE   SCHEMA  AGE",
    "Northwind  Stalled    NameTaken  active  -       90 s",
    "Ada        Ready      Served     active  0003    90 s",
    "Northwind: choose another",
    "tenants/x.yaml:3: name: is missing",
    "last pass failed: Neon is away",
    "2 tenants: 1 Ready, 1 Stalled",
  ])
})

test("where there are several cells, each tenant shows its own, as long as there is room", () => {
  const fleet = status(tenant(1, "Ada", { cell: "quiet-sea-1" }), tenant(2, "Bob"))
  expect(lines(fleet).slice(0, 3)).toEqual([
    "NAME  CELL         CONDITION  REASON  STATE   SCHEMA  AGE",
    "Ada   quiet-sea-1  Ready      Served  active  0003    90 s",
    "Bob   -            Ready      Served  active  0003    90 s",
  ])
  expect(lines(fleet, ALL, 50)[0]).toBe("NAME  CONDITION  REASON  STATE   SCHEMA  AGE")
})

test("an empty fleet is a table without rows", () => {
  expect(lines(status())).toEqual(["NAME  CONDITION  REASON  STATE  SCHEMA  AGE", "0 tenants"])
})

test("a schema that is behind shows what it waits for", () => {
  const fleet = { ...status(tenant(1, "Ada")), version: "0005:aaaaaaaaaaaaaaaa" }
  expect(lines(fleet)[1]).toBe("Ada   Ready      Served  active  0003 < 0005  90 s")
})

test("a schema of the newest number that other files made is not shown as behind itself", () => {
  const fleet = { ...status(tenant(1, "Ada")), version: "0003:bbbbbbbbbbbbbbbb" }
  expect(lines(fleet)[1]).toBe("Ada   Ready      Served  active  0003 ≠ files  90 s")
})

test("columns stay in line under names of any script", () => {
  const names = ["Ada", "東京商事", "Ωmega", "مثال", "नमस्ते", "Cafe\u0301"]
  const [heading, ...rows] = lines(status(...names.map((name, n) => tenant(n, name))))
  const column = heading!.indexOf("CONDITION")
  for (const row of rows.slice(0, names.length)) {
    const before = row.slice(0, row.indexOf("Ready"))
    expect(widthOf(before)).toBe(column)
  }
})

test.for([100, 80, 60, 40, 20])("no row of the table is wider than %i columns", (width) => {
  const names = ["A".repeat(54), "東".repeat(18), "Ada", "क्षि".repeat(4)]
  const fleet = status(
    ...names.map((name, n) =>
      tenant(n, name, { reason: "MigrationFailed", state: "suspended", message: "" }),
    ),
  )
  const table = lines({ ...fleet, version: "0005:aa" }, ALL, width).slice(0, names.length + 1)
  for (const row of table) expect(widthOf(row)).toBeLessThanOrEqual(width)
  expect(table[0]).toMatch(/^NAME +/)
})

test("a name is cut between letters, never within one", () => {
  expect(fit("東京商事", 5)).toBe("東京…")
  expect(fit("e\u0301e\u0301e\u0301", 2)).toBe("e\u0301…")
  expect(fit("👩‍👩‍👧‍👦👩‍👩‍👧‍👦", 3)).toBe("👩‍👩‍👧‍👦…")
  expect(fit("Ada", 3)).toBe("Ada")
})

test("ten thousand tenants come in pages, and a choice finds the few that matter", () => {
  const fleet = status(
    ...Array.from({ length: 10_000 }, (_, n) =>
      tenant(n, `T${String(n).padStart(5, "0")}`, n === 7777 ? STALLED : {}),
    ),
  )
  const first = lines(fleet)
  expect(first).toHaveLength(103)
  expect(first[1]).toMatch(/^T07777 {2}Stalled/)
  expect(first.at(-1)).toBe(
    "10000 tenants: 9999 Ready, 1 Stalled; page 1 of 100 (--page, --limit; --condition, --state and --name choose)",
  )
  expect(lines(fleet, { page: 100, limit: 100 })[100]).toMatch(/^T09999/)
  expect(lines(fleet, { ...ALL, condition: "Stalled" }).at(-1)).toBe("1 of 10000 tenants: 1 Stalled")
  expect(lines(fleet, { ...ALL, name: "t0012" })).toHaveLength(12)
  expect(lines(fleet, { page: 5, limit: 5000 }).at(-1)).toMatch(/page 5 of 2 /)
})

test("a choice by name does not mind case or width, and one by state is exact", () => {
  const tenants = [tenant(1, "Acme"), tenant(2, "Ｂeta", { state: "retired" })]
  expect(choose(tenants, { name: "ACM" }).map(({ name }) => name)).toEqual(["Acme"])
  expect(choose(tenants, { name: "be" }).map(({ name }) => name)).toEqual(["Ｂeta"])
  expect(choose(tenants, { state: "retired" }).map(({ name }) => name)).toEqual(["Ｂeta"])
})

test.for<[number, string]>([
  [-5000, "0 s"],
  [119_000, "119 s"],
  [120_000, "2 min"],
  [7_199_000, "119 min"],
  [7_200_000, "2 h"],
  [172_800_000, "2 d"],
  [400 * 86_400_000, "400 d"],
])("an age of %i ms is %s", ([ms, text]) => {
  expect(renderAge(ms)).toBe(text)
})
