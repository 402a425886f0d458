import { setImmediate as turn } from "node:timers/promises"
import { afterEach, beforeEach, expect, test, vi } from "vitest"
import { createSemaphore, createTokenBucket } from "../../reconciler/providers/pacing.ts"

// The clock stands still until a test moves it; a sleep ends when the clock has come that far.
let now = 0
let sleepers: { until: number; wake: () => void }[] = []
vi.mock("node:timers/promises", async (original) => ({
  ...(await original<typeof import("node:timers/promises")>()),
  setTimeout: (ms: number) =>
    new Promise<void>((wake) => {
      sleepers.push({ until: now + ms, wake })
    }),
}))

const moveTo = async (time: number) => {
  now = time
  for (const { wake } of sleepers.filter(({ until }) => until <= now)) wake()
  sleepers = sleepers.filter(({ until }) => until > now)
  await turn()
}

beforeEach(() => {
  now = 1_000_000
  sleepers = []
  vi.spyOn(performance, "now").mockImplementation(() => now)
})
afterEach(() => {
  vi.restoreAllMocks()
})

test("a bucket lets two seconds' worth through at once, and then its rate", async () => {
  const take = createTokenBucket(8, "test")
  let taken = 0
  for (let n = 0; n < 40; n++) void take().then(() => taken++)
  await turn()
  expect(taken).toBe(16)
  await moveTo(now + 124)
  expect(taken).toBe(16)
  await moveTo(now + 1)
  expect(taken).toBe(17)
  await moveTo(now + 875)
  expect(taken).toBe(24)
  await moveTo(now + 2000)
  expect(taken).toBe(40)
})

test("a bucket that was left alone for long holds no more than two seconds' worth", async () => {
  const take = createTokenBucket(5, "test")
  await take()
  await moveTo(now + 3_600_000)
  let taken = 0
  for (let n = 0; n < 30; n++) void take().then(() => taken++)
  await turn()
  expect(taken).toBe(10)
})

/** Tasks that end when told to, and who is running. */
function tasks() {
  const running: string[] = []
  const ends = new Map<string, PromiseWithResolvers<string>>()
  return {
    running,
    end: async (name: string, error?: Error) => {
      if (error) ends.get(name)!.reject(error)
      else ends.get(name)!.resolve(name)
      await turn()
    },
    task: (name: string) => async () => {
      const pending = Promise.withResolvers<string>()
      ends.set(name, pending)
      running.push(name)
      try {
        return await pending.promise
      } finally {
        running.splice(running.indexOf(name), 1)
      }
    },
  }
}

test("a semaphore runs no more than its limit at once, in the order of arrival", async () => {
  const { running, end, task } = tasks()
  const limited = createSemaphore(2, "test")
  const results = ["a", "b", "c", "d"].map((name) => limited(task(name)))
  await turn()
  expect(running).toEqual(["a", "b"])
  await end("b")
  expect(running).toEqual(["a", "c"])
  await end("a")
  expect(running).toEqual(["c", "d"])
  await end("c")
  await end("d")
  expect(await Promise.all(results)).toEqual(["a", "b", "c", "d"])
})

test("a task that fails is its own affair: the place is free for the next", async () => {
  const { running, end, task } = tasks()
  const limited = createSemaphore(1, "test")
  const first = limited(task("a")).catch((error: Error) => error.message)
  const second = limited(task("b"))
  await turn()
  await end("a", new Error("no"))
  expect(await first).toBe("no")
  expect(running).toEqual(["b"])
  await end("b")
  expect(await second).toBe("b")
  const later = limited(task("c"))
  await turn()
  expect(running).toEqual(["c"])
  await end("c")
  expect(await later).toBe("c")
})
