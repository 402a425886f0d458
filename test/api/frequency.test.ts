import { expect, test } from "vitest"
import { createFrequency } from "../../api/frequency.ts"

test("what is used often counts more than what is used once, and the past fades", () => {
  const frequency = createFrequency<string>(200)
  for (let n = 0; n < 30; n++) frequency.count("hot")
  frequency.count("once")
  expect(frequency.of("hot")).toBe(30)
  for (let n = 0; n < 1000; n++) frequency.count("new")
  expect(frequency.of("hot")).toBe(0)
  expect(frequency.of("new")).toBeGreaterThan(50)
})

test("a scan over many keys leaves the hot one ahead, in bounded memory", () => {
  const frequency = createFrequency<string>(1000)
  for (let n = 0; n < 100_000; n++) {
    if (n % 20 === 0) frequency.count("hot")
    frequency.count(`cold ${n}`)
    expect(frequency.size()).toBeLessThanOrEqual(1000)
  }
  expect(frequency.of("hot")).toBeGreaterThan(5)
  expect(frequency.of("cold 99999")).toBeLessThanOrEqual(1)
})
