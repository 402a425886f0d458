import { randomUUID } from "node:crypto"
import { afterEach, beforeEach, expect, test, vi } from "vitest"
import type { Lane, Reader } from "../../api/lanes.ts"
import { createQueue, type Queue } from "../../api/queue.ts"
import { TenantId } from "../../reconciler/tenant.ts"

let queue: Queue

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] })
  queue = createQueue({ patience: 60_000, maxPlaces: 4, onCome: () => {}, onLeave: () => {} })
})
afterEach(() => vi.useRealTimers())

const newLane = () =>
  ({ tenant: TenantId.parse(randomUUID()), places: 0, waiting: new Set() }) as unknown as Lane

/** So many requests come, each for a connection alone. */
function come(lane: Lane, requests = 1): Lane {
  for (let n = 0; n < requests; n++) void queue.wait(lane, undefined)
  return lane
}
const next = () => queue.starving()?.lane

test("of two tenants with as many requests the one that has waited longer is next", () => {
  const first = come(newLane())
  vi.advanceTimersByTime(1)
  come(newLane())
  vi.advanceTimersByTime(1)
  expect(next()).toBe(first)
})

test("many requests come before one that has waited longer, until that has waited as long as all of them together", () => {
  const one = come(newLane())
  vi.advanceTimersByTime(100)
  const many = come(newLane(), 3)
  expect(next()).toBe(one)
  vi.advanceTimersByTime(49)
  expect(next()).toBe(one)
  vi.advanceTimersByTime(2)
  expect(next()).toBe(many)
  // Who has come later does not keep it waiting for ever.
  for (const waiter of many.waiting) waiter.grant({ place: { end: () => {} } })
  vi.advanceTimersByTime(1000)
  come(newLane(), 20)
  vi.advanceTimersByTime(50)
  expect(next()).toBe(one)
})

test("those who share one connection count each, though one place in the queue is theirs", () => {
  const alone = come(newLane())
  const together = newLane()
  const readers = new Set(Array.from({ length: 3 }, () => ({}) as Reader))
  together.joining = { uri: "", readers, abandoned: new AbortController() }
  come(together)
  vi.advanceTimersByTime(10)
  expect(next()).toBe(together)
  readers.clear()
  expect(next()).toBe(alone)
})

test("who has a connection is never next, however many wait", () => {
  const rich = come(newLane(), 10)
  rich.places = 1
  vi.advanceTimersByTime(1000)
  const poor = come(newLane())
  expect(next()).toBe(poor)
})
