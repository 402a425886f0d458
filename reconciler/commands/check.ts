/** Commands about files that need no network. */
import { existsSync } from "node:fs"
import type { Command } from "commander"
import { readTenants } from "../desired.ts"
import { Fleet } from "../fleet.ts"
import { renderJsonSchema, SCHEMA_NAMES } from "../json-schema.ts"
import { formatWarning, lintMigrations } from "../migration-lint.ts"
import { readMigrationsOrFault } from "../migrations.ts"
import { annotation } from "../workflow-command.ts"
import { formatProblem, readYamlFile } from "../yaml-file.ts"
import { examples, parseChoice, print } from "./shared.ts"

export function registerCheck(program: Command): void {
  program
    .command("validate")
    .description("check the files, and warn of migrations that hurt live traffic; needs no network")
    .argument("[directory]", "the tenants folder; without it fleet.yaml must be there too")
    .option("--annotate", "for GitHub: mark the lines in the pull request", false)
    .addHelpText("after", examples("validate", "validate ../other/tenants", "validate --annotate"))
    .action(validate)

  program
    .command("schema")
    .description("print a JSON Schema, for editors and checks")
    .argument("<name>", SCHEMA_NAMES.join(", "))
    .addHelpText("after", examples("schema tenant > tenant.schema.json"))
    .action((name: string) => {
      print(renderJsonSchema(parseChoice("the schema", name, SCHEMA_NAMES)))
    })
}

/** Exit code 1 where a file is refused or a migration is no SQL; a warning is none. */
async function validate(folder: string | undefined, { annotate }: { annotate: boolean }): Promise<void> {
  const migrationsDir = process.env["MIGRATIONS_DIR"] ?? "./migrations"
  const directory = folder ?? process.env["TENANTS_DIR"] ?? "./tenants"
  const fleetFile = process.env["FLEET_FILE"] ?? "./fleet.yaml"
  const migrations = existsSync(migrationsDir) ? await readMigrationsOrFault(migrationsDir) : undefined
  const seeds = migrations && new Set(migrations.seeds.keys())
  const { tenants, problems } = await readTenants(directory, seeds)
  const faults = [
    ...(folder === undefined || existsSync(fleetFile) ? readYamlFile(fleetFile, Fleet).problems : []),
    ...problems,
  ]
  const fault = migrations?.fault?.message.split("\n") ?? []
  const findings = migrations && fault.length === 0 ? await lintMigrations(migrationsDir) : []
  const errors = findings.filter(({ rule }) => rule === "syntax")

  for (const line of fault) print(line)
  for (const finding of findings) print(formatWarning(finding))
  for (const problem of faults) print(formatProblem(problem))
  if (annotate) {
    for (const finding of findings) {
      const kind = finding.rule === "syntax" ? "error" : "warning"
      print(annotation(kind, finding, `${finding.rule}: ${finding.message}`))
    }
    for (const problem of faults)
      print(annotation("error", problem, `${problem.key ? `${problem.key}: ` : ""}${problem.message}`))
  }
  const count = fault.length + faults.length + errors.length
  print(`${tenants.length} tenants are valid, ${count} problems`)
  if (count > 0) process.exitCode = 1
}
