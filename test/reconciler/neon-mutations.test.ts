import { beforeEach, expect, test, vi } from "vitest"
import { createMutations, type Operation } from "../../reconciler/providers/neon-mutations.ts"

const ACTIONS = ["apply_config", "suspend_compute", "check_availability"]
const never = () => Promise.reject(new Error("nothing was lost, so nobody looks back"))

/** What is looked at until a change has taken effect, and the pauses before, in milliseconds. */
let seen: (string | number)[] = []
/** Milliseconds that a look takes. */
let lookMs = 0
let clock = 0
beforeEach(() => {
  seen = []
  lookMs = 0
})
vi.mock("node:timers/promises", () => ({
  setTimeout: async (ms: number) => {
    clock += ms
    seen.push(ms)
  },
}))
vi.mock("node:perf_hooks", () => ({ performance: { now: () => clock } }))

/** Makes changes one after the other; each ends, with all its operations, at that look at it. */
async function change(...looksUntilEnd: number[]): Promise<void> {
  let looks = 0
  let end = 0
  const now = (id: string): Operation => ({ id, action: id, status: looks >= end ? "finished" : "running" })
  const { mutate } = createMutations({
    operation: async (id) => {
      looks++
      clock += lookMs
      seen.push(id)
      return { operation: now(id) }
    },
    recent: never,
    names: never,
    pollInterval: 800,
    timeout: 60_000,
    permit: { signal: undefined },
  })
  for (const looked of looksUntilEnd) {
    looks = 0
    end = looked
    await mutate({
      what: "create a database",
      send: async () => ({ operations: ACTIONS.map(now) }),
      isDone: () => true,
      subject: undefined,
    })
  }
}

const pauses = () => seen.filter((one) => typeof one === "number")

test("what was told of an operation before another was waited for is old: it is looked at without a pause", async () => {
  await change(1)
  expect(seen).toEqual([expect.any(Number), ...ACTIONS])
})

test("an operation that still runs is looked at soon, and then less and less often, down to the interval", async () => {
  await change(11)
  expect(pauses()).toEqual([31.25, 6.25, 6.25, 12.5, 25, 50, 100, 200, 400, 800, 800])
  expect(seen.slice(-3)).toEqual(ACTIONS)
})

test("the next change is looked at when the one before was nearly over", async () => {
  await change(6, 3)
  expect(pauses().slice(6)).toEqual([0.625 * 131.25, 131.25 / 8, 131.25 / 8])
})

test("what the looks take counts too", async () => {
  lookMs = 10
  await change(6, 1)
  // Six pauses and six looks, and one look at each of the other two operations.
  expect(pauses()[6]).toBe(0.625 * (131.25 + 80))
})

test("one that was over at the first look may have taken less, so the next is looked at sooner", async () => {
  await change(1, 1, 1)
  expect(pauses()).toEqual([31.25, 9.765625, 7.8125])
})

test("however long a change has taken, the next is looked at after the interval", async () => {
  await change(14, 2)
  expect(pauses().at(-2)).toBe(800)
})
