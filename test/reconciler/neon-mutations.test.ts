import { beforeEach, expect, test, vi } from "vitest"
import { createMutations, type Operation } from "../../reconciler/providers/neon-mutations.ts"

const ACTIONS = ["apply_config", "suspend_compute", "check_availability"]
const never = () => Promise.reject(new Error("nothing was lost, so nobody looks back"))

/** What is looked at until a change has taken effect, and the pauses before, in milliseconds. */
let seen: (string | number)[] = []
beforeEach(() => void (seen = []))
vi.mock("node:timers/promises", () => ({ setTimeout: async (ms: number) => void seen.push(ms) }))

/** Each operation is seen to have ended at the same look, counted over all. */
async function change({ lookUntilEnd }: { lookUntilEnd: number }): Promise<void> {
  let looks = 0
  const now = (id: string): Operation => ({
    id,
    action: id,
    status: looks >= lookUntilEnd ? "finished" : "running",
  })
  const { mutate } = createMutations({
    operation: async (id) => {
      looks++
      seen.push(id)
      return { operation: now(id) }
    },
    recent: never,
    names: never,
    pollInterval: 800,
    timeout: 60_000,
    permit: { signal: undefined },
  })
  await mutate({
    what: "create a database",
    send: async () => ({ operations: ACTIONS.map(now) }),
    isDone: () => true,
    subject: undefined,
  })
}

test("what was told of an operation before another was waited for is old: it is looked at without a pause", async () => {
  await change({ lookUntilEnd: 1 })
  expect(seen).toEqual([100, "apply_config", "suspend_compute", "check_availability"])
})

test("an operation that still runs is looked at soon, and then less and less often, down to the interval", async () => {
  await change({ lookUntilEnd: 6 })
  const pauses = seen.filter((one) => typeof one === "number")
  expect(pauses).toEqual([100, 200, 400, 800, 800, 800])
  expect(seen.slice(-3)).toEqual(["apply_config", "suspend_compute", "check_availability"])
})
