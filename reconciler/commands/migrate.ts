/** tenantry migrate: the schema of every tenant, by hand and with a look at it. */
import type { Command } from "commander"
import { z } from "zod"
import { entryOf } from "../decisions.ts"
import { redact } from "../log.ts"
import {
  type Choice,
  type Job,
  type Migrated,
  migrateFleet,
  rehearseFleet,
  undoFleet,
} from "../migrate-command.ts"
import { type ProgressView, showProgress } from "../progress.ts"
import { confirmName } from "./confirm.ts"
import { examples, onSignal, openSystem, parseArgument, parseNumber, print } from "./shared.ts"

const Step = z.string().regex(/^\d{4}$/, { error: "must be four digits, such as 0004" })
const step = (to: string | undefined) =>
  to === undefined ? undefined : parseArgument(Step, to, "step's number")

export function registerMigrate(program: Command): void {
  const migrate = program
    .command("migrate")
    .description("bring every tenant's schema to the newest migration: canaries first, then wave by wave")
    .option("--tenant <tenant>", "only this one, by id or name")
    .option("--to <number>", "no further than this step; the tenants stay there until the migrations change")
    .option("--dry-run", "try the steps in transactions that are rolled back, and say what would fail", false)
    .option("--canary", "with --dry-run: on the canaries only", false)
    .addHelpText(
      "after",
      examples(
        "migrate --dry-run --canary",
        "migrate",
        "migrate --tenant Acme --to 0004",
        "migrate down --tenant Acme",
      ),
    )
    .action(async (options: { tenant?: string; to?: string; dryRun: boolean; canary: boolean }) => {
      const choice: Choice = { tenant: options.tenant, to: step(options.to) }
      if (options.dryRun) await shown((job) => rehearseFleet(job, { ...choice, canary: options.canary }))
      else
        await shown(async (job) => {
          const { outcomes, waiting } = await migrateFleet(job, choice)
          for (const { change, message } of waiting) job.say(`- ${change.name}: ${message}`)
          if (waiting.length > 0) process.exitCode = 1
          return outcomes
        })
    })

  migrate
    .command("down")
    .description("undo the newest step, or all after --to, by the files' down parts")
    .option("--tenant <tenant>", "only this one, by id or name")
    .option("--to <number>", "the step that is to be the newest; 0000 undoes all")
    .option("--confirm <count>", "for the whole fleet: how many tenants you expect this to change")
    .option("--yes <name>", "with --tenant: its name, where there is no terminal to ask on")
    .addHelpText("after", examples("migrate down --tenant Acme", "migrate down --to 0004 --confirm 200"))
    .action(async (_: unknown, command: Command) => {
      // The parent has options of the same names, and commander gives them what is meant for us.
      const options = command.optsWithGlobals<{
        tenant?: string
        to?: string
        confirm?: string
        yes?: string
      }>()
      const confirm =
        options.confirm === undefined ? undefined : parseNumber("--confirm", options.confirm, { min: 0 })
      if (options.tenant !== undefined) {
        const { sources, world } = openSystem()
        const { name } = await entryOf(sources, world, options.tenant)
        await confirmName(name, `undo steps of ${name}, with the data that they hold`, options.yes)
      }
      await shown((job) => undoFleet(job, { tenant: options.tenant, to: step(options.to), confirm }))
    })
}

/** Runs the job with its progress, and sums it up. Exit code 1 where a tenant failed. */
async function shown(work: (job: Job) => Promise<Migrated[]>): Promise<void> {
  const { sources, world } = openSystem()
  const view: ProgressView = showProgress(process.stdout, () => performance.now())
  const job: Job = {
    sources,
    world,
    signal: onSignal(),
    expect: view.expect,
    say: (line) => view.say(redact(line)),
    progress: ({ name, ms, note, error }) =>
      view.tick({
        failed: error !== undefined,
        line: redact(error ? `✗ ${name}: ${error.reason}: ${error.message}` : `✓ ${note} (${ms} ms)`),
      }),
  }
  let outcomes: Migrated[]
  try {
    outcomes = await work(job)
  } finally {
    view.end()
  }
  const failed = outcomes.filter(({ error }) => error !== undefined).length
  print(`${outcomes.length - failed} tenants done, ${failed} failed`)
  if (failed > 0) process.exitCode = 1
}
