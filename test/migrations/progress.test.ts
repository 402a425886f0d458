import { expect, test } from "vitest"
import { renderBar, showProgress } from "../../reconciler/progress.ts"

test("a bar says how many are through, how many failed, how fast it goes and how long it will take", () => {
  expect(renderBar({ total: 200, done: 49, failed: 1, ms: 2000 }, 80)).toBe(
    `[${"█".repeat(10)}${"░".repeat(30)}] 50/200  1 failed  25.0/s  6 s left`,
  )
  expect(renderBar({ total: 9000, done: 100, failed: 0, ms: 10_000 }, 80)).toMatch(
    /10\.0\/s {2}14 min 50 s left$/,
  )
  expect(renderBar({ total: 90_000, done: 100, failed: 0, ms: 10_000 }, 80)).toMatch(/2 h 29 min left$/)
  expect(renderBar({ total: 3, done: 0, failed: 0, ms: 0 }, 80)).toMatch(/ 0\/3 {2}0 failed {2}0\.0\/s {2}…$/)
})

test.for([1, 10, 20, 30, 60, 200])("a bar fits a terminal of %d columns", (width) => {
  expect(renderBar({ total: 200, done: 50, failed: 1, ms: 2000 }, width).length).toBeLessThan(width)
})

function recorded(isTTY: boolean) {
  let text = ""
  let clock = 0
  const stream = { isTTY, columns: 60, write: (more: string) => (text += more) }
  const view = showProgress(stream, () => (clock += 1000))
  view.expect(2)
  view.tick({ failed: false, line: "✓ Ada" })
  view.tick({ failed: true, line: "✗ Bob: no" })
  view.end()
  return text
}

test("where nobody looks there is a line for each, and nothing that moves the cursor", () => {
  expect(recorded(false)).toBe("✓ Ada\n✗ Bob: no\n")
})

test("on a terminal only what failed gets a line, above a bar that is gone at the end", () => {
  const text = recorded(true)
  expect(text).not.toContain("Ada")
  expect(text).toContain("\r\u001B[K✗ Bob: no\n")
  expect(text).toContain("2/2  1 failed")
  expect(text.endsWith("\r\u001B[K")).toBe(true)
})
