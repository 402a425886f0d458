#!/usr/bin/env node
/** The command line. The only place that knows what an error's exit code is. */
import { Command } from "commander"
import { registerApply } from "./commands/apply.ts"
import { registerDecide } from "./commands/decide.ts"
import { registerFiles } from "./commands/files.ts"
import { registerLook } from "./commands/look.ts"
import { registerMigrate } from "./commands/migrate.ts"
import { registerRun } from "./commands/run.ts"
import { TerminalError, TransientError } from "./errors.ts"
import { useLocalWorld } from "./local-world.ts"
import { redact } from "./log.ts"

const program = new Command("tenantry")
  .description("GitOps for database-per-tenant: a YAML file in Git declares a tenant.")
  .option("--debug", "show where an error comes from", false)
  .showHelpAfterError("(tenantry --help lists what there is)")

registerFiles(program)
registerLook(program)
registerApply(program)
registerRun(program)
registerMigrate(program)
registerDecide(program)

try {
  useLocalWorld(process.env)
  await program.parseAsync()
} catch (error) {
  const isOurs = error instanceof TerminalError || error instanceof TransientError
  const said = error instanceof Error ? error.message : String(error)
  const trace = program.opts<{ debug: boolean }>().debug && error instanceof Error ? `\n${error.stack}` : ""
  process.stderr.write(`${redact(`${isOurs ? said : `tenantry: ${said}`}${trace}`)}\n`)
  process.exitCode = 1
}
