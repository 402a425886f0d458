import { execFileSync } from "node:child_process"
import { expect, test } from "vitest"
import { renderCompletion } from "../../reconciler/commands/completion.ts"
import { createProgram } from "../../reconciler/program.ts"

/** What bash would offer after these words, the last of which is being typed. */
function complete(...words: string[]): string[] {
  const script = `${renderCompletion(createProgram(), "bash")}
COMP_WORDS=(tenantry ${words.map((word) => `'${word}'`).join(" ")})
COMP_CWORD=${words.length}
_tenantry
printf '%s\\n' "\${COMPREPLY[@]}"`
  return execFileSync("bash", ["-c", script], { encoding: "utf8" }).split("\n").filter(Boolean)
}

test("bash completes verbs, options, and the verbs and options below a verb", () => {
  expect(complete("re")).toEqual(["rename", "restore"])
  expect(complete("p")).toEqual(["plan", "purge"])
  expect(complete("plan", "--de")).toEqual(["--detailed-exitcode"])
  expect(complete("migrate", "do")).toEqual(["down"])
  expect(complete("migrate", "down", "--con")).toEqual(["--confirm"])
  expect(complete("--debug", "status", "--wa")).toEqual(["--watch"])
  expect(complete("nonsense", "--wa")).toEqual([])
})

test("every verb has an example in its help", () => {
  for (const command of createProgram().commands) {
    let help = ""
    command.configureOutput({ writeOut: (text) => (help += text) })
    command.outputHelp()
    expect(help).toMatch(new RegExp(`Examples:\n {2}\\$ tenantry ${command.name()}\\b`))
  }
})

test("zsh takes bash's completion over", () => {
  expect(renderCompletion(createProgram(), "zsh")).toMatch(/^autoload -Uz compinit bashcompinit /)
})
