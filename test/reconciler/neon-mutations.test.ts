import { expect, test } from "vitest"
import { createMutations, type Operation } from "../../reconciler/providers/neon-mutations.ts"

const ACTIONS = ["apply_config", "suspend_compute", "check_availability"]
const never = () => Promise.reject(new Error("nothing was lost, so nobody looks back"))

/** What is looked at until a change has taken effect; "pause" stands where other work had its turn meanwhile. */
async function looksAtChange({ lookUntilEnd }: { lookUntilEnd: number }): Promise<string[]> {
  const seen: string[] = []
  let looks = 0
  const now = (id: string): Operation => ({
    id,
    action: id,
    status: looks >= lookUntilEnd ? "finished" : "running",
  })
  let hasPaused = false
  const rest = () => void setImmediate(() => (hasPaused = true))
  const { mutate } = createMutations({
    operation: async (id) => {
      looks++
      seen.push(...(hasPaused ? ["pause", id] : [id]))
      hasPaused = false
      rest()
      return { operation: now(id) }
    },
    recent: never,
    names: never,
    pollInterval: 10,
    timeout: 60_000,
    permit: { signal: undefined },
  })
  await mutate({
    what: "create a database",
    send: async () => {
      rest()
      return { operations: ACTIONS.map(now) }
    },
    isDone: () => true,
    subject: undefined,
  })
  return seen
}

test("what was told of an operation before another was waited for is old: it is looked at without a pause", async () => {
  expect(await looksAtChange({ lookUntilEnd: 1 })).toEqual([
    "pause",
    "apply_config",
    "suspend_compute",
    "check_availability",
  ])
})

test("between two looks at an operation that still runs there is a pause", async () => {
  expect(await looksAtChange({ lookUntilEnd: 3 })).toEqual([
    "pause",
    "apply_config",
    "pause",
    "apply_config",
    "pause",
    "apply_config",
    "suspend_compute",
    "check_availability",
  ])
})
