import { PassThrough } from "node:stream"
import { WriteStream } from "node:tty"
import { afterEach, expect, test } from "vitest"
import { lookOf } from "../../reconciler/terminal.ts"

/** A stream that says of itself what it is. */
const stream = (isTTY: boolean, columns?: number) =>
  Object.assign(new PassThrough(), {
    isTTY,
    columns,
    getColorDepth: (env?: object) => WriteStream.prototype.getColorDepth(env),
  }) as unknown as NodeJS.WriteStream

const before = { ...process.env }
const setting = (variables: Record<string, string>) => {
  for (const name of ["NO_COLOR", "FORCE_COLOR", "NODE_DISABLE_COLORS", "CI"]) delete process.env[name]
  Object.assign(process.env, { TERM: "xterm-256color", ...variables })
}
afterEach(() => {
  setting({})
  Object.assign(process.env, before)
})

test.for<[what: string, isTTY: boolean, variables: Record<string, string>, isColoured: boolean]>([
  ["a terminal", true, {}, true],
  ["a file", false, {}, false],
  ["a terminal with NO_COLOR", true, { NO_COLOR: "1" }, false],
  ["a terminal that has none", true, { TERM: "dumb" }, false],
  ["a file with FORCE_COLOR", false, { FORCE_COLOR: "1" }, true],
])("%s gets colours where it should", ([, isTTY, variables, isColoured]) => {
  setting(variables)
  const text = lookOf(stream(isTTY)).paint("red", "gone")
  expect(text).toBe(isColoured ? "\u001B[31mgone\u001B[39m" : "gone")
})

test("the width is the terminal's, 100 where there is none, and never so small that nothing fits", () => {
  expect(lookOf(stream(true, 80)).width).toBe(80)
  expect(lookOf(stream(false)).width).toBe(100)
  expect(lookOf(stream(true, 0)).width).toBe(20)
})
