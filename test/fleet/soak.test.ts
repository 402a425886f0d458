import { expect, test } from "vitest"
import { renderSoaked, soak } from "./soak.ts"

/** Fixed, so that a failure can be repeated; `npm run soak` takes any. */
const SEED = 20_261
const STEPS = 10

test("edits, faults and kills at random lose nothing, mix nothing up and tell nothing", async () => {
  const done = await soak(SEED, STEPS)
  process.stdout.write(`\n${renderSoaked(done)}\n`)
  expect(done).toMatchObject({ seed: SEED, steps: STEPS, checks: STEPS / 5 })
  expect(done.kills).toBeGreaterThan(0)
}, 240_000)
