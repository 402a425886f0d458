/** tenantry completion: a script by which a shell completes verbs, options and fixed choices. */
import type { Command } from "commander"
import { examples, parseChoice, print } from "./shared.ts"

const SHELLS = ["bash", "zsh"] as const

export function registerCompletion(program: Command): void {
  program
    .command("completion")
    .description("print a script that completes commands in a shell")
    .argument("<shell>", SHELLS.join(" or "))
    .addHelpText(
      "after",
      examples(
        "completion bash > ~/.local/share/bash-completion/completions/tenantry",
        "completion zsh >> ~/.zshrc",
      ),
    )
    .action((shell: string) => {
      print(renderCompletion(program, parseChoice("the shell", shell, SHELLS)))
    })
}

/** Every command by its words, such as "migrate down", with what can follow it. */
function wordsByPath(command: Command, path: readonly string[] = []): [path: string, words: string[]][] {
  const subcommands = command.commands
  const options = command.options.flatMap(({ long }) => long ?? [])
  const words = [...subcommands.map((each) => each.name()), ...options, "--help"]
  return [
    [path.join(" "), words],
    ...subcommands.flatMap((each) => wordsByPath(each, [...path, each.name()])),
  ]
}

/** The script: bash's own completion, which zsh takes over by bashcompinit. */
export function renderCompletion(program: Command, shell: (typeof SHELLS)[number]): string {
  const paths = wordsByPath(program)
  const lines = [
    ...(shell === "zsh" ? ["autoload -Uz compinit bashcompinit && compinit && bashcompinit"] : []),
    "_tenantry() {",
    `  local word path= words`,
    `  COMPREPLY=()`,
    `  for word in "\${COMP_WORDS[@]:1:$((COMP_CWORD - 1))}"; do`,
    `    case "$path\${path:+ }$word" in`,
    ...paths
      .filter(([path]) => path !== "")
      .map(([path]) => `      ${JSON.stringify(path)}) path=${JSON.stringify(path)} ;;`),
    `    esac`,
    `  done`,
    `  case "$path" in`,
    ...paths.map(
      ([path, words]) => `    ${JSON.stringify(path)}) words=${JSON.stringify(words.join(" "))} ;;`,
    ),
    `  esac`,
    `  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))`,
    "}",
    "complete -o default -F _tenantry tenantry",
  ]
  return lines.join("\n")
}
