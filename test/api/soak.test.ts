import { afterAll, beforeAll, expect, test } from "vitest"
import { soak } from "./soak.ts"
import { startWorld, type World } from "./world.ts"

let world: World
beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world?.close())

test("under evictions, clients that go away, killed backends and time-outs no row reaches another tenant", async () => {
  const result = await soak(world, { requests: 1500, tenants: 6, budget: 4 })
  expect(result).toMatchObject({ leaks: 0, leaked: [], faults: 0, faulty: [], strays: 0 })
  expect(result.evictions).toBeGreaterThan(10)
  expect(result.killed).toBeGreaterThan(5)
  expect(result.locked).toBeGreaterThan(0)
  for (const kind of ["200", "201", "gone"]) expect(result.answers[kind], kind).toBeGreaterThan(10)
}, 90_000)

const WRONG_SECRET = { requests: 300, tenants: 2, budget: 6, isPlanted: true }

test("with a wrong secret planted the marker check holds every row back", async () => {
  const result = await soak(world, WRONG_SECRET)
  expect(result).toMatchObject({ leaks: 0, leaked: [], strays: 0 })
  expect(result.answers["503 database-mismatch"]).toBeGreaterThan(10)
})

test("the same run without the marker check sees the leak", async () => {
  const result = await soak(world, { ...WRONG_SECRET, checkMarker: () => {} })
  expect(result.leaks).toBeGreaterThan(10)
  expect(result.leaked[0]).toMatch(/showed rows of/)
  expect(result.strays).toBeGreaterThan(0)
  expect(result.answers["503 database-mismatch"]).toBeUndefined()
})
