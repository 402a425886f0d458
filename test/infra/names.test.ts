import { describe, expect, it } from "vitest"
import { checkName, type Kind, namesOf } from "../../infra/names.ts"

const x = (length: number) => "x".repeat(length)

/** For each rule the shortest and the longest name that Azure takes, and names that it refuses. */
const CASES: Record<Kind, { taken: string[]; refused: string[] }> = {
  resourceGroup: { taken: ["a", x(90), "a.b(c)"], refused: ["", x(91), "a.", "a b"] },
  vault: { taken: ["abc", x(24), "a-1"], refused: ["ab", x(25), "1abc", "abc-", "a--b", "a_b"] },
  secret: { taken: ["a", x(127)], refused: ["", x(128), "a_b", "a.b"] },
  registry: { taken: [x(5), x(50)], refused: [x(4), x(51), "abc-de"] },
  containerApp: { taken: ["ab", x(32), "a-b"], refused: ["a", x(33), "Ab", "1a", "ab-", "a--b"] },
  environment: { taken: ["ab", x(60)], refused: ["a", x(61), "Ab", "ab-", "a--b"] },
  identity: { taken: ["abc", x(128), "1-_"], refused: ["ab", x(129), "-ab"] },
  workspace: { taken: [x(4), x(63)], refused: [x(3), x(64), "-abc", "abc-"] },
  insights: { taken: ["a", x(260)], refused: ["", x(261), "a."] },
  network: { taken: ["ab", x(64), "a.b"], refused: ["a", x(65), "ab-", "_ab"] },
  alert: { taken: ["a", x(260), "no pass"], refused: ["", x(261), "a/b", "a.", "a?b"] },
}

describe.each(Object.entries(CASES))("a name of kind %s", (kind, { taken, refused }) => {
  it.each(taken)("may be %s", (name) => expect(checkName(kind as Kind, name)).toBe(name))

  it.each(refused)('"%s" is refused before Azure is asked, with the rule', (name) => {
    expect(() => checkName(kind as Kind, name)).toThrow(/cannot be named .*: a name has .*; choose a shorter/)
  })
})

it("the longest tenantry:name still gives names that Azure takes", () => {
  expect(() => namesOf("abcdefghij", "prod")).not.toThrow()
})

it("a stack whose name makes one too long is told so", () => {
  expect(() => namesOf("abcdefghij", "production")).toThrow(
    /vault cannot be named "abcdefghij-production-tenants"/,
  )
})
