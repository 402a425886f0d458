import { readFileSync } from "node:fs"
import path from "node:path"
import { beforeAll, describe, expect, test } from "vitest"
import { eventually } from "./eventually.ts"
import { useSystem } from "./system.ts"

const readme = readFileSync(path.resolve(import.meta.dirname, "../README.md"), "utf8")
const blocks = (language: string) =>
  [...readme.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, "gms"))].map(([, text]) => text!)

type Step = { command: string; output: string }

/** A line that begins with "$ " is a command; what follows it is what it prints, and "…" stands for anything. */
const steps: Step[] = blocks("console").flatMap((block) =>
  block
    .split(/^\$ /m)
    .slice(1)
    .map((step) => {
      const [command, ...output] = step.split("\n")
      return { command: command!, output: output.join("\n").trim() }
    }),
)

const pattern = (output: string) =>
  new RegExp(
    `^${output
      .split("…")
      .map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`))
      .join(".*?")}$`,
    "s",
  )

/** Text in which every number is the same. */
const shape = (text: string) => text.replaceAll(/\d+(?:\.\d+)*/g, "0")

/** What only looks may be asked again until the reconciler is through; what changes things is done once. */
const onlyLooks = (command: string) => /^(?:npx tenantry (?!rename)|curl (?!.* -d ))/.test(command)

describe("the README", () => {
  const system = useSystem({ checkout: true })
  beforeAll(() => system.start())

  test("prints what npm start prints, but for the numbers", () => {
    const printed = shape(system.printed()).split("\n")
    for (const line of shape(blocks("text")[0]!).trim().split("\n")) {
      if (line.startsWith("…") || line.startsWith("plan:")) continue
      expect(printed).toContainEqual(line)
    }
  })

  test.for(steps)("$command", async ({ command, output }) => {
    const here = command.replaceAll("localhost:3000", `localhost:${system.ports.api}`)
    const once = async () => {
      const ended = await system.run(["sh", "-c", `(${here}) 2>/dev/null`])
      expect(ended.output.trim()).toMatch(pattern(output))
    }
    if (onlyLooks(command)) await eventually(command, once)
    else await once()
  })
})
