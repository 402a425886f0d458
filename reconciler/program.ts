/** The command line as a tree of commands, and what it says of an error. */
import { readFileSync } from "node:fs"
import { Command, CommanderError } from "commander"
import { registerApply } from "./commands/apply.ts"
import { registerCheck } from "./commands/check.ts"
import { registerCompletion } from "./commands/completion.ts"
import { registerDecide } from "./commands/decide.ts"
import { registerDoctor } from "./commands/doctor.ts"
import { registerFiles } from "./commands/files.ts"
import { registerMigrate } from "./commands/migrate.ts"
import { registerPlan } from "./commands/plan.ts"
import { registerRun } from "./commands/run.ts"
import { registerStatus } from "./commands/status.ts"
import { TerminalError, TransientError } from "./errors.ts"
import { redact } from "./log.ts"

const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
  version: string
}

/** Parsing it throws CommanderError where the words make no command, and where help or the version was shown. */
export function createProgram(): Command {
  const program = new Command("tenantry")
    .description("GitOps for database-per-tenant: a YAML file in Git declares a tenant.")
    .version(version)
    .option("--debug", "show where an error comes from", false)
    .option("--no-color", "no colours, as with NO_COLOR=1")
    .exitOverride()
    // What is wrong is said once, by whoever catches it.
    .configureOutput({ outputError: () => {} })
    .hook("preAction", () => {
      if (program.opts<{ color: boolean }>().color) return
      process.env["NO_COLOR"] = "1"
      delete process.env["FORCE_COLOR"]
    })
  registerFiles(program)
  registerCheck(program)
  registerPlan(program)
  registerApply(program)
  registerRun(program)
  registerStatus(program)
  registerMigrate(program)
  registerDecide(program)
  registerDoctor(program, version)
  registerCompletion(program)
  return program
}

/** The words as commander sees them. Throws what the command throws. */
export const runProgram = async (program: Command, words: readonly string[]): Promise<void> => {
  await program.parseAsync(words, { from: "user" })
}

/** What a person is told of `error`, without credentials; undefined where it is no error. */
export function explainError(error: unknown, program: Command, words: readonly string[]): string | undefined {
  if (error instanceof CommanderError && error.exitCode === 0) return undefined
  const { debug } = program.opts<{ debug: boolean }>()
  const trace = debug && error instanceof Error ? `\n${error.stack}` : ""
  return redact(`${messageOf(error, program, words)}${trace}`)
}

function messageOf(error: unknown, program: Command, words: readonly string[]): string {
  if (error instanceof CommanderError) {
    if (error.code === "commander.help") return 'no command: "tenantry --help" lists them'
    const verbs = new Set(program.commands.map((command) => command.name()))
    const verb = words.find((word) => verbs.has(word))
    const said = error.message.replace(/^error: /, "").replaceAll(/\s+/g, " ")
    return `${said}; "tenantry ${verb ? `${verb} ` : ""}--help" lists what there is`
  }
  if (error instanceof TerminalError || error instanceof TransientError) return error.message
  return `tenantry: ${error instanceof Error ? error.message : String(error)}`
}
