/** The rules of .oxlintrc.json on who may import what: a pattern that matches nothing would be silent for ever. */
import { spawnSync } from "node:child_process"
import { copyFileSync } from "node:fs"
import path from "node:path"
import { expect, test } from "vitest"
import { folderOf } from "./reconciler/folder.ts"

/** A file, what it may import, and what it may not. */
const RULES: [file: string, allowed: string[], refused: string[]][] = [
  [
    "api/some.ts",
    ["../reconciler/tenant.ts", "../reconciler/providers/vault.ts", "./rate.ts", "pg"],
    ["../reconciler/plan.ts", "../reconciler/providers/neon.ts", "../local/neon.ts", "../test/system.ts"],
  ],
  ["reconciler/plan.ts", ["./tenant.ts", "zod"], ["node:fs", "./log.ts", "./providers/neon.ts", "pg"]],
  ["reconciler/some.ts", ["node:fs", "./providers/neon.ts"], ["pg", "umzug", "../api/app.ts"]],
  ["reconciler/providers/some.ts", ["pg", "../tenant.ts"], ["../apply.ts", "../../api/app.ts"]],
  ["local/some.ts", ["pg"], ["../reconciler/tenant.ts", "../api/app.ts", "@neondatabase/api-client"]],
  ["infra/some.ts", ["zod"], ["../reconciler/tenant.ts", "../local/neon.ts"]],
]

const text = (imports: string[]) =>
  imports.map((from, index) => `import { a as a${index} } from "${from}"\nvoid a${index}\n`).join("")

test("lint refuses the imports that the layout forbids, and no others", async () => {
  const cwd = await folderOf(
    Object.fromEntries(
      RULES.map(([file, allowed, refused]) => [file, text([...allowed, ...refused])] as const),
    ),
  )
  copyFileSync(path.resolve(import.meta.dirname, "../.oxlintrc.json"), path.join(cwd, ".oxlintrc.json"))
  const { stdout } = spawnSync("oxlint", ["--format", "json"], { cwd, encoding: "utf8" })
  const { diagnostics } = JSON.parse(stdout) as {
    diagnostics: { code: string; filename: string; message: string }[]
  }
  const found = diagnostics
    .filter(({ code }) => code === "eslint(no-restricted-imports)")
    .map(({ filename, message }) => `${filename} ${/^'(.+)' import is restricted/.exec(message)?.[1]}`)
  expect(found.toSorted()).toEqual(
    RULES.flatMap(([file, , refused]) => refused.map((from) => `${file} ${from}`)).toSorted(),
  )
})
