#!/usr/bin/env node
/** The command line. The only place that knows exit codes: 0 done, 1 error, 2 there are changes (plan). */
import { Command } from "commander"
import { z } from "zod"
import { readConfig } from "./config.ts"
import { control, type FleetStatus } from "./controller.ts"
import { approve, explainImport, importDatabase, importedFile, rotate } from "./decisions.ts"
import { readTenants } from "./desired.ts"
import { TerminalError, TransientError } from "./errors.ts"
import { renderJsonSchema } from "./json-schema.ts"
import { ApprovalVerb } from "./ledger.ts"
import { useLocalWorld } from "./local-world.ts"
import { createLogger, redact } from "./log.ts"
import { reconcile, review } from "./reconcile.ts"
import { renderOutcome, renderPlan, renderStatus } from "./render.ts"
import { serveStatus } from "./status-server.ts"
import { TenantId, TenantName } from "./tenant.ts"
import { openWorld } from "./world.ts"
import { formatProblem } from "./yaml-file.ts"

const print = (text: string) => process.stdout.write(`${redact(text)}\n`)

/** How long what is under way may take to end after SIGTERM; milliseconds. */
const STOP_WITHIN = 8000

const program = new Command("tenantry")
  .description("GitOps for database-per-tenant: a YAML file in Git declares a tenant.")
  .showHelpAfterError("(tenantry --help lists what there is)")

program
  .command("run")
  .description("watch the files and keep the world as they declare, until SIGTERM")
  .action(async () => {
    const log = createLogger("reconciler")
    const config = readConfig(process.env)
    const stop = onSignal()
    stop.addEventListener("abort", () => {
      log.info("reconciler is stopping")
      // What is under way is safe to abandon: the next reconciler observes it and goes on.
      setTimeout(() => process.exit(0), STOP_WITHIN).unref()
    })
    const status: FleetStatus = { tenants: [], problems: [], lastPass: undefined, lastError: undefined }
    const server = await serveStatus(config.statusPort, status)
    log.info(
      { tenantsDir: config.sources.tenantsDir, statusPort: config.statusPort },
      "reconciler is watching",
    )
    await control(config.sources, openWorld(config), {
      interval: config.interval,
      signal: onSignal(),
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
    const { outcomes, review: reviewed } = await reconcile(config.sources, openWorld(config), {
      signal: onSignal(),
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

program
  .command("approve")
  .description("allow one withheld change of one tenant, once")
  .argument("<tenant>", "its id or name")
  .argument("<change>", `what to allow: ${ApprovalVerb.options.join(", ")}`)
  .option("--minutes <number>", "how long the approval can be used", "60")
  .action(async (tenant: string, change: string, options: { minutes: string }) => {
    const verb = parseArgument(
      ApprovalVerb,
      change,
      `the change must be one of ${ApprovalVerb.options.join(", ")}`,
    )
    const minutes = parseArgument(
      z.coerce.number().min(1).max(1440),
      options.minutes,
      "--minutes must be 1 to 1440",
    )
    const config = readConfig(process.env)
    const until = new Date(Date.now() + minutes * 60_000).toISOString()
    const entry = await approve(config.sources, openWorld(config), tenant, { verb, until })
    print(`approved once, until ${until}: ${verb} ${entry.name} (${entry.id})`)
  })

program
  .command("rotate")
  .description("give a tenant a new credential; no request fails")
  .argument("<tenant>", "its id or name")
  .action(async (tenant: string) => {
    const config = readConfig(process.env)
    const entry = await rotate(config.sources, openWorld(config), tenant)
    print(`the reconciler will rotate the credential of ${entry.name} (${entry.id})`)
  })

program
  .command("import")
  .description("adopt an unmanaged database as a tenant's; shows what it would do, and does it with --yes")
  .argument("<database>")
  .requiredOption("--id <uuid>", "the tenant's id, for ever")
  .requiredOption("--name <name>", "the tenant's name")
  .option("--yes", "do it", false)
  .action(async (database: string, options: { id: string; name: string; yes: boolean }) => {
    const id = parseArgument(TenantId, options.id, "--id must be a UUID")
    const tenant = { id, name: parseArgument(TenantName, options.name, "--name is no tenant's name") }
    const config = readConfig(process.env)
    const world = openWorld(config)
    const file = importedFile(config.sources, tenant)
    for (const line of explainImport(await review(config.sources, world), database, tenant, file))
      print(`- ${line}`)
    if (options.yes) await importDatabase(config.sources, world, database, tenant)
    print(options.yes ? `${database} is imported; commit ${file}` : "nothing was changed; add --yes to do it")
  })

program
  .command("schema")
  .description("print a JSON Schema, for editors and checks")
  .argument("<file>", "tenant or fleet")
  .action((file: string) => {
    const name = parseArgument(z.enum(["tenant", "fleet"]), file, "there are the schemas tenant and fleet")
    print(renderJsonSchema(name))
  })

function onSignal(): AbortSignal {
  const stop = new AbortController()
  for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, () => stop.abort())
  return stop.signal
}

function parseArgument<S extends z.ZodType>(schema: S, value: string, message: string): z.output<S> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw new TerminalError("BadArgument", `${message}: ${parsed.error.issues[0]!.message}`)
}

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
