import fc from "fast-check"
import { setImmediate as turn } from "node:timers/promises"
import { expect, test, vi } from "vitest"
import { apply } from "../../reconciler/apply.ts"
import type { Plan } from "../../reconciler/policy.ts"
import { befall, beginning, edit, history, type Episode, loss, tampering } from "./histories.ts"
import { type Course, observeLists, planPass, UNDISTURBED } from "./passes.ts"
import { PATIENCE, RUNS } from "./runs.ts"
import { FLEET, type SimulatedWorld } from "./simulation.ts"
import { beginPass, worldFor } from "./systems.ts"
import { faultsOf } from "./verdict.ts"

vi.setConfig(PATIENCE)

vi.mock("../../reconciler/providers/postgres.ts", async (original) => ({
  ...(await original<object>()),
  ...(await import("./systems.ts")).postgres,
}))
vi.mock("../../reconciler/providers/migrator.ts", async () => (await import("./systems.ts")).migrator)

/** Carries a plan out. Throws where nothing goes on any more and the pass has not ended. */
async function applyPlan(world: SimulatedWorld, plan: Plan, course: Course): Promise<void> {
  const pass = beginPass(world, course)
  const options = {
    world: worldFor(plan.changes, world.cells),
    fleet: FLEET,
    migrations: { steps: [], version: world.version, seeds: new Map([["demo", ""]]) },
    observed: observeLists(world),
    signal: new AbortController().signal,
    progress: () => {},
  }
  const state = { hasEnded: false }
  const ended = apply(plan, options).finally(() => (state.hasEnded = true))
  for (let idle = 0, before = -1; !state.hasEnded; idle = pass.calls === before ? idle + 1 : 0) {
    if (idle > 50) throw new Error("the pass does not end")
    before = pass.calls
    await turn()
  }
  await ended
}

async function expectApplied(episodes: readonly Episode[]) {
  const life = beginning(episodes)
  const { world } = life
  for (const episode of episodes) {
    for (const event of episode.events) befall(life, event)
    await applyPlan(world, planPass(world, life.files), episode.course)
  }
  for (let passes = 0; passes < 3; passes++) {
    const plan = planPass(world, life.files)
    if (plan.changes.length === 0) break
    await applyPlan(world, plan, UNDISTURBED)
  }
  expect(faultsOf(world, life.files)).toEqual([])
}

test("wherever passes of the real apply are cut short, three more finish", async () => {
  await fc.assert(fc.asyncProperty(history(edit, edit, loss, tampering), expectApplied), RUNS)
})
