/** Commands that look and change nothing. */
import { existsSync } from "node:fs"
import { writeFile } from "node:fs/promises"
import type { Command } from "commander"
import { z } from "zod"
import type { FleetStatus } from "../controller.ts"
import { readTenants } from "../desired.ts"
import { TransientError } from "../errors.ts"
import { renderJsonSchema } from "../json-schema.ts"
import { formatWarning, lintMigrations } from "../migration-lint.ts"
import { readMigrations } from "../migrations.ts"
import { planDocument } from "../plan-document.ts"
import { review } from "../reconcile.ts"
import { renderPlan, renderStatus } from "../render.ts"
import { environmentToken } from "../status-access.ts"
import { formatProblem } from "../yaml-file.ts"
import { examples, openSystem, parseArgument, print } from "./shared.ts"

export function registerLook(program: Command): void {
  program
    .command("validate")
    .description("check the tenants' files, and warn of migrations that hurt live traffic; needs no network")
    .argument("[directory]", "the tenants folder", process.env["TENANTS_DIR"] ?? "./tenants")
    .addHelpText("after", examples("validate", "validate ../other/tenants"))
    .action(validate)

  program
    .command("plan")
    .description("show what a pass would do, and change nothing")
    .option("--json", "as JSON, see docs/cli.md for its shape", false)
    .option("--out <file>", "save it, for: tenantry apply <file>")
    .option("--detailed-exitcode", "0 nothing to do, 2 changes, 3 something is blocked, 1 an error", false)
    .addHelpText("after", examples("plan", "plan --out plan.json", "plan --json --detailed-exitcode"))
    .action(plan)

  program
    .command("status")
    .description("show every tenant as the running reconciler sees it")
    .option("--json", "as JSON", false)
    .addHelpText("after", examples("status", "status --json"))
    .action(status)

  program
    .command("schema")
    .description("print a JSON Schema, for editors and checks")
    .argument("<file>", "tenant or fleet")
    .addHelpText("after", examples("schema tenant > tenant.schema.json"))
    .action((file: string) => {
      print(
        renderJsonSchema(
          parseArgument(z.enum(["tenant", "fleet"]), file, "there are the schemas tenant and fleet"),
        ),
      )
    })
}

async function validate(directory: string): Promise<void> {
  const migrationsDir = process.env["MIGRATIONS_DIR"] ?? "./migrations"
  const seeds = existsSync(migrationsDir) ? (await readMigrations(migrationsDir)).seeds : undefined
  const { tenants, problems } = await readTenants(directory, seeds && new Set(seeds.keys()))
  const warnings = seeds ? await lintMigrations(migrationsDir) : []
  for (const warning of warnings) print(formatWarning(warning))
  for (const problem of problems) print(formatProblem(problem))
  print(`${tenants.length} tenants are valid, ${problems.length} problems`)
  if (problems.length > 0) process.exitCode = 1
}

async function plan(options: { json: boolean; out?: string; detailedExitcode: boolean }): Promise<void> {
  const { sources, world } = openSystem()
  const reviewed = await review(sources, world)
  const document = JSON.stringify(planDocument(reviewed), undefined, 2)
  if (options.out) await writeFile(options.out, `${document}\n`)
  print(options.json ? document : renderPlan(reviewed))
  if (!options.detailedExitcode) return
  const { changes, withheld, stalls } = reviewed.plan
  if (changes.length > 0) process.exitCode = 2
  const blocked = withheld.filter(({ isStalled }) => isStalled !== false)
  if (blocked.length > 0 || stalls.length > 0 || reviewed.read.problems.length > 0) process.exitCode = 3
}

async function status(options: { json: boolean }): Promise<void> {
  const port = process.env["STATUS_PORT"] ?? "3001"
  const key = process.env["NEON_API_KEY"]
  const headers: Record<string, string> = key ? { authorization: `Bearer ${environmentToken(key)}` } : {}
  const response = await fetch(`http://127.0.0.1:${port}/status.json`, { headers }).catch(() => {
    throw new TransientError(
      "NoReconciler",
      `no reconciler answers on port ${port}: start one with "npm start"`,
    )
  })
  if (!response.ok) {
    const { error } = (await response.json()) as { error: string }
    throw new TransientError(
      "StatusRefused",
      `the reconciler on port ${port} shows nothing (${error}): run this with the reconciler's environment`,
    )
  }
  const fleet = (await response.json()) as FleetStatus
  print(options.json ? JSON.stringify(fleet, undefined, 2) : renderStatus(fleet, Date.now()))
}
