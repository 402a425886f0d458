import fc from "fast-check"
import { expect, test } from "vitest"
import { rememberDiff } from "../../reconciler/diff-memory.ts"
import { DAY } from "../../reconciler/lifecycle.ts"
import { diff } from "../../reconciler/plan.ts"
import { beginning, decision, edit, history, live, loss, tampering } from "./histories.ts"
import { converge, desiredOf, observeLists, observeMarkers } from "./passes.ts"

const lives = history(edit, edit, decision, loss, tampering)
/** Days after the first look, at each of which it looks again. */
const looks = fc.array(fc.integer({ min: 0, max: 60 * DAY }), { minLength: 1, maxLength: 5 })

test("what a diff said before is said again for as long as it is true, whatever happens and however late it is", () => {
  let dueByTime = 0
  const later = fc.property(lives, looks, fc.boolean(), (episodes, offsets, isMarked) => {
    const { world, files } = live(beginning(episodes), episodes)
    converge(world, files)
    const desired = desiredOf(world, files)
    const observed = isMarked ? observeMarkers(world) : observeLists(world)
    const remembered = rememberDiff()
    const first = remembered(desired, observed, world.now)
    for (const offset of offsets) {
      const now = world.now + offset
      const expected = diff(desired, observed, now)
      expect(remembered({ ...desired }, { ...observed }, now)).toEqual(expected)
      if (first.changes.length === 0 && expected.changes.length > 0) dueByTime++
    }
  })
  fc.assert(later, { numRuns: 1000 })
  // Had it forgotten that time passes, this would have shown it.
  expect(dueByTime).toBeGreaterThan(10)
})

test("what was quiet is computed once, and anew as soon as a list, the files or a setting are others", () => {
  const { world, files } = live(beginning([]), [])
  converge(world, files)
  const [desired, observed] = [desiredOf(world, files), observeLists(world)]
  const quiet = diff(desired, observed, world.now)
  const others = [
    { desired, observed: { ...observed, secrets: [] } },
    { desired, observed: { ...observed, databases: [] } },
    { desired: { ...desired, tenants: [] }, observed },
    { desired: { ...desired, version: "another" }, observed },
  ]
  for (const other of others) {
    const remembered = rememberDiff()
    const first = remembered(desired, observed, world.now)
    expect(remembered({ ...desired }, { ...observed }, world.now)).toBe(first)
    const next = remembered(other.desired, other.observed, world.now)
    expect(next).toEqual(diff(other.desired, other.observed, world.now))
    expect(next).not.toEqual(quiet)
  }
})
