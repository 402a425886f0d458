/** The dashboard and the alert rules ask for series that there are; the documentation lists every one of them. */
import { readFileSync } from "node:fs"
import path from "node:path"
import { Histogram, register } from "prom-client"
import { beforeAll, expect, test } from "vitest"
import { parse } from "yaml"
import { measureCredentials, measurePools } from "../../api/metrics.ts"
import "../../reconciler/commands/run.ts"
import { startMetrics } from "../../reconciler/metrics.ts"
import { PROBLEMS } from "../../api/problems.ts"

const DOCS = path.resolve(import.meta.dirname, "../../docs")
const read = (name: string) => readFileSync(path.join(DOCS, name), "utf8")

type Panel = { id: number; title: string; type: string; targets?: { expr: string }[] }
type Rule = { alert: string; expr: string; annotations: Record<string, string> }
const dashboard = JSON.parse(read("grafana-dashboard.json")) as { panels: Panel[] }
const rules = (parse(read("alert-rules.yaml")) as { groups: { rules: Rule[] }[] }).groups.flatMap(
  (group) => group.rules,
)
const expressions = [
  ...dashboard.panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => [title, expr] as const)),
  ...rules.map(({ alert, expr }) => [alert, expr] as const),
]

/** Labels by the name of a series, as Prometheus knows it. */
const series = new Map<string, Set<string>>()
/** Of ours, without the suffixes of histograms. */
const ours = new Set<string>()

beforeAll(() => {
  startMetrics({ byTenant: false })
  const pools = { counts: () => ({ places: 0, idle: 0, waiting: 0, tenants: 0, evictions: 0 }) }
  measurePools(pools as never, 1)
  measureCredentials({ size: () => 0 } as never)
  for (const metric of register.getMetricsAsArray()) {
    const { name, labelNames = [] } = metric as unknown as { name: string; labelNames?: string[] }
    if (name.startsWith("tenantry_")) ours.add(name)
    for (const suffix of metric instanceof Histogram ? ["_bucket", "_sum", "_count"] : [""])
      series.set(name + suffix, new Set([...labelNames, ...(suffix === "_bucket" ? ["le"] : [])]))
  }
})

const NAME = /\b(?:tenantry|process|nodejs)_[a-z0-9_]+/g
/** What Prometheus adds to every series. */
const TARGET = ["instance", "job"]

test("every expression names series that there are, and labels that they have", () => {
  expect(expressions.length).toBeGreaterThan(40)
  for (const [where, expr] of expressions) {
    const names = expr.match(NAME) ?? []
    expect(names.length, where).toBeGreaterThan(0)
    const known = new Set(TARGET)
    for (const name of names) {
      expect([...series.keys()], `${where}: ${name}`).toContain(name)
      for (const label of series.get(name)!) known.add(label)
    }
    const selected = [...expr.matchAll(/[{,]\s*(\w+)\s*[=!]/g)].map(([, label]) => label!)
    const grouped = [...expr.matchAll(/by \(([^)]*)\)/g)].flatMap(([, labels]) => labels!.split(/, */))
    for (const label of [...selected, ...grouped]) expect([...known], `${where}: ${expr}`).toContain(label)
  }
})

test("values that an expression looks for are values that are given", () => {
  const text = expressions.map(([, expr]) => expr).join("\n")
  const valuesOf = (label: string) =>
    [...text.matchAll(new RegExp(`\\b${label}!?="([^"]*)"`, "g"))].map(([, value]) => value!)
  expect(Object.keys(PROBLEMS)).toEqual(expect.arrayContaining(valuesOf("reason")))
  expect(["Ready", "Reconciling", "Stalled"]).toEqual(expect.arrayContaining(valuesOf("condition")))
  expect(["sent", "stale"]).toEqual(expect.arrayContaining(valuesOf("outcome")))
})

test("the documentation lists every series, and no other", () => {
  const documented = new Set(
    read("observability.md")
      .match(/`tenantry_[a-z0-9_]+/g)
      ?.map((name) => name.slice(1)),
  )
  expect([...documented].toSorted()).toEqual([...ours].toSorted())
})

test("each series of ours is on the dashboard or in a rule, but for what only a detail needs", () => {
  const asked = new Set(
    expressions
      .flatMap(([, expr]) => expr.match(NAME) ?? [])
      .map((name) => name.replace(/_(?:bucket|sum|count)$/, "")),
  )
  const left = [...ours].filter((name) => !asked.has(name))
  expect(left).toEqual(["tenantry_tenant_condition"])
})

test("panels have ids of their own, and every alert says what it means", () => {
  const ids = dashboard.panels.map(({ id }) => id)
  expect(new Set(ids).size).toBe(ids.length)
  expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length)
  for (const { alert, annotations } of rules)
    expect(Object.keys(annotations), alert).toEqual(["summary", "description"])
})
