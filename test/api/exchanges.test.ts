import { setImmediate as turn } from "node:timers/promises"
import { randomUUID } from "node:crypto"
import { afterEach, beforeEach, expect, test, vi } from "vitest"
import type { Connection } from "../../api/connections.ts"
import type { Lane } from "../../api/lanes.ts"
import { createPlaces, type Places } from "../../api/places.ts"
import { TenantId } from "../../reconciler/tenant.ts"

const [A, B] = ["postgres://u:p@a:5432/d", "postgres://u:p@b:5432/d"]
let places: Places

beforeEach(() => vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }))
afterEach(() => vi.useRealTimers())

const startPlaces = (budget: number) =>
  (places = createPlaces({ budget, maxConnections: 4, wait: 60_000, idleTimeout: 60_000 }))
const newLane = (uri: string) => places.use(TenantId.parse(randomUUID()), uri)

/** A session of a tenant that has come just now; `end` lets it end. */
async function open(uri: string, lane = newLane(uri)) {
  const granted = await places.wait(lane, undefined)
  if (!("place" in granted)) throw new Error("an idle one was granted")
  granted.place.end()
  const { promise, resolve } = Promise.withResolvers<void>()
  const connection = { uri, isBroken: () => false, close: () => promise } as unknown as Connection
  return { lane, connection, end: resolve }
}
async function openIdle(uri: string) {
  const one = await open(uri)
  places.keep(one.lane, one.connection)
  return one
}

/** Tenants that wait; their names are in `served` as they get a place. */
const served: string[] = []
beforeEach(() => void served.splice(0))
function come(name: string, uri: string, lane = newLane(uri)): Lane {
  void places.wait(lane, undefined).then(() => served.push(name))
  return lane
}
const evictions = () => places.counts().evictions

test("three make room for the tenants of one server at once, and another server has three of its own", async () => {
  startPlaces(12)
  for (let n = 0; n < 12; n++) await openIdle(A)
  for (let n = 0; n < 5; n++) come(`a${n}`, A)
  expect(evictions()).toBe(3)
  for (let n = 0; n < 5; n++) come(`b${n}`, B)
  expect(evictions()).toBe(6)
  // Those that take long are not waited for.
  vi.advanceTimersByTime(499)
  expect(evictions()).toBe(6)
  vi.advanceTimersByTime(1)
  expect(evictions()).toBe(12)
})

test("a place that is left goes to the one for whom it was left, and the next makes room then", async () => {
  startPlaces(5)
  const idle = [await openIdle(A), await openIdle(A), await openIdle(A), await openIdle(A)]
  const busy = await open(A)
  come("grows", A, busy.lane)
  for (let n = 0; n < 4; n++) come(`a${n}`, A)
  for (const { end } of idle.slice(0, 2)) end()
  await turn()
  expect(served).toEqual(["a0", "a1"])
  // Both are beginning their sessions, so that it is not the fourth one's turn yet.
  expect(evictions()).toBe(3)
})

test("a tenant whose place is left after its turn does not get it back before the one that it was left for", async () => {
  startPlaces(1)
  const held = await open(A)
  come("its own", A, held.lane)
  const heir = come("heir", A)
  const promised = places.promise()
  expect(promised?.heir).toBe(heir)
  expect(places.promise()).toBeUndefined()
  places.close(held.lane, held.connection, promised)
  held.end()
  await turn()
  expect(served).toEqual(["heir"])
})

test("where a place is promised and not left, the next idle connection makes room after half a second", async () => {
  startPlaces(2)
  const [slow, other] = [await open(A), await open(A)]
  come("heir", A)
  expect(places.promise()).toBeDefined() // by slow, when its last reader has gone
  places.keep(other.lane, other.connection)
  expect(evictions()).toBe(1)
  vi.advanceTimersByTime(500)
  expect(evictions()).toBe(2)
  other.end()
  await turn()
  expect(served).toEqual(["heir"])
  expect(slow.lane.places).toBe(1)
})

test("a session that does not end is waited for half a second, by nobody longer", async () => {
  startPlaces(2)
  const stuck = await open(A)
  await openIdle(A)
  places.close(stuck.lane, stuck.connection)
  come("a", A)
  expect(evictions()).toBe(0)
  vi.advanceTimersByTime(500)
  expect(evictions()).toBe(1)
})
