import { expect, test } from "vitest"
import { soak } from "./soak.ts"

test("under evictions, clients that go away, killed backends and time-outs no row reaches another tenant", async () => {
  const result = await soak({ requests: 1000, tenants: 6, budget: 4 })
  expect(result).toMatchObject({ leaks: [], faults: [], strays: 0 })
  expect(result.evictions).toBeGreaterThan(10)
  expect(result.killed).toBeGreaterThan(5)
  expect(result.locks).toBeGreaterThan(0)
  for (const kind of ["200", "201", "gone"]) expect(result.answers[kind], kind).toBeGreaterThan(10)
}, 90_000)

test("with a wrong secret and a marker that agrees with it, the same run sees the leak", async () => {
  const result = await soak({ requests: 60, tenants: 2, budget: 6, planted: true })
  expect(result.leaks.length).toBeGreaterThan(0)
  expect(result.strays).toBeGreaterThan(0)
}, 60_000)
