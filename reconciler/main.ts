#!/usr/bin/env node
/** The command line. The only place that knows exit codes: 0 done, 1 error, 2 there are changes (plan). */
import { Command } from "commander"
import { readConfig } from "./config.ts"
import { control, type FleetStatus } from "./controller.ts"
import { readTenants } from "./desired.ts"
import { TerminalError, TransientError } from "./errors.ts"
import { useLocalWorld } from "./local-world.ts"
import { createLogger, redact } from "./log.ts"
import { reconcile, review } from "./reconcile.ts"
import { renderOutcome, renderPlan, renderStatus } from "./render.ts"
import { serveStatus } from "./status-server.ts"
import { openWorld } from "./world.ts"
import { formatProblem } from "./yaml-file.ts"

const print = (text: string) => process.stdout.write(`${redact(text)}\n`)

const program = new Command("tenantry")
  .description("GitOps for database-per-tenant: a YAML file in Git declares a tenant.")
  .showHelpAfterError("(tenantry --help lists what there is)")

program
  .command("run")
  .description("watch the files and keep the world as they declare, until SIGTERM")
  .action(async () => {
    const log = createLogger("reconciler")
    const config = readConfig(process.env)
    const stop = new AbortController()
    for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, () => stop.abort())
    const status: FleetStatus = { tenants: [], problems: [], lastPass: undefined, lastError: undefined }
    const server = await serveStatus(config.statusPort, status)
    log.info(
      { tenantsDir: config.sources.tenantsDir, statusPort: config.statusPort },
      "reconciler is watching",
    )
    await control(config.sources, openWorld(config), {
      interval: config.interval,
      signal: stop.signal,
      log,
      status,
    })
    server.close()
    server.closeAllConnections()
    log.info("reconciler has stopped")
  })

program
  .command("validate")
  .description("check the tenants' files; needs no network")
  .argument("[directory]", "the tenants folder", process.env["TENANTS_DIR"] ?? "./tenants")
  .action(async (directory: string) => {
    const { tenants, problems } = await readTenants(directory)
    for (const problem of problems) print(formatProblem(problem))
    print(`${tenants.length} tenants are valid, ${problems.length} problems`)
    if (problems.length > 0) process.exitCode = 1
  })

program
  .command("plan")
  .description("show what a pass would do, and change nothing; exit code 2 where there is something to do")
  .action(async () => {
    const config = readConfig(process.env)
    const reviewed = await review(config.sources, openWorld(config))
    print(renderPlan(reviewed))
    if (reviewed.plan.changes.length > 0) process.exitCode = 2
  })

program
  .command("apply")
  .description("make one pass")
  .action(async () => {
    const config = readConfig(process.env)
    const stop = new AbortController()
    for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, () => stop.abort())
    const { outcomes, review: reviewed } = await reconcile(config.sources, openWorld(config), {
      signal: stop.signal,
      planned: (planned) => print(renderPlan(planned)),
      progress: (event) => event.kind === "change" && print(renderOutcome(event.outcome)),
    })
    const hasFailed = outcomes.some(({ error }) => error !== undefined) || reviewed.read.problems.length > 0
    if (hasFailed) process.exitCode = 1
  })

program
  .command("status")
  .description("show every tenant as the running reconciler sees it")
  .action(async () => {
    const port = process.env["STATUS_PORT"] ?? "3001"
    const response = await fetch(`http://127.0.0.1:${port}/status.json`).catch(() => {
      throw new TransientError(
        "NoReconciler",
        `no reconciler answers on port ${port}: start one with "npm start"`,
      )
    })
    print(renderStatus((await response.json()) as FleetStatus, Date.now()))
  })

try {
  useLocalWorld(process.env)
  await program.parseAsync()
} catch (error) {
  const isOurs = error instanceof TerminalError || error instanceof TransientError
  process.stderr.write(
    `${redact(isOurs ? error.message : `tenantry: ${error instanceof Error ? error.stack : String(error)}`)}\n`,
  )
  process.exitCode = 1
}
