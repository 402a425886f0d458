/** What can be said of the Dockerfile without doing it; images.test.ts does it. */
import { readFileSync } from "node:fs"
import path from "node:path"
import { expect, it } from "vitest"
import { HEAP } from "../../local/part.ts"
import { ROOT } from "./stacks.ts"

const read = (file: string) => readFileSync(path.join(ROOT, file), "utf8")
const lines = read("Dockerfile").split("\n")
const bases = lines.flatMap((line) => /^FROM (\S+:\S+) AS/.exec(line)?.slice(1) ?? [])

it("each base image is the Node that the tests run on, and cannot change under its tag", () => {
  const { devDependencies } = JSON.parse(read("package.json")) as { devDependencies: { node: string } }
  expect(bases.length).toBeGreaterThan(1)
  expect(new Set(bases).size).toBe(1)
  expect(bases[0]).toMatch(/@sha256:[0-9a-f]{64}$/)
  expect(bases[0]).toContain(`node:${devDependencies.node}-`)
  for (const [, version] of read(".github/workflows/deploy.yml").matchAll(/node-version: (\S+)/g))
    expect(version).toBe(devDependencies.node)
})

it("its commands are lists, so that SIGTERM reaches Node and no shell", () => {
  const commands = lines.filter((line) => /^\s*CMD /.test(line))
  expect(commands).toHaveLength(4)
  for (const command of commands) expect(command).toMatch(/^\s*CMD \["node", /)
})

it("the processes get the options that the local ones, and so the benches, run with", () => {
  expect(lines).toContain(`ENV NODE_OPTIONS=${HEAP}`)
})
