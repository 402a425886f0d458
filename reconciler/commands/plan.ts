/** Commands that compare the world with the files and change nothing. */
import { setTimeout as sleep } from "node:timers/promises"
import type { Command } from "commander"
import { redact } from "../log.ts"
import { lintMigrations } from "../migration-lint.ts"
import { renderComment } from "../plan-comment.ts"
import { planDocument } from "../plan-document.ts"
import type { Plan } from "../policy.ts"
import { review, type Review } from "../reconcile.ts"
import { faultsOf, isWaiting, renderPlan } from "../render-plan.ts"
import { changeKey } from "../selection.ts"
import { lookOf } from "../terminal.ts"
import { examples, openSystem, parseNumber, print, writeText } from "./shared.ts"

type PlanOptions = {
  json: boolean
  out?: string
  comment?: string
  runUrl?: string
  detailedExitcode: boolean
}

export function registerPlan(program: Command): void {
  program
    .command("plan")
    .description("show what a pass would do, and change nothing")
    .option("--json", "as JSON, see docs/cli.md for its shape", false)
    .option("--out <file>", "save it, for: tenantry apply <file>")
    .option("--comment <file>", "write it as a comment for a pull request, in Markdown")
    .option("--run-url <url>", "where the comment says that the whole plan is")
    .option("--detailed-exitcode", "0 nothing to do, 2 changes, 3 something is blocked, 1 an error", false)
    .addHelpText("after", examples("plan", "plan --out plan.json", "plan --json --detailed-exitcode"))
    .action(plan)

  program
    .command("drift")
    .description(
      "compare the world with the files, databases' markers included; exit code 0 the same, 2 drift, 3 something is blocked, 1 an error",
    )
    .option("--json", "as JSON, in the shape of: tenantry plan --json", false)
    .option("--settle <seconds>", "look twice, so long apart, and report what is there both times", "0")
    .addHelpText("after", examples("drift", "drift --settle 90 --json"))
    .action(drift)
}

async function plan(options: PlanOptions): Promise<void> {
  const { sources, world } = openSystem()
  const reviewed = await review(sources, world)
  const document = planDocument(reviewed)
  const json = JSON.stringify(document, undefined, 2)
  if (options.out) await writeText(options.out, `${json}\n`)
  if (options.comment) {
    const warnings = reviewed.migrations.fault ? [] : await lintMigrations(sources.migrationsDir)
    const comment = renderComment(document, warnings, { url: options.runUrl })
    await writeText(options.comment, redact(comment))
  }
  print(options.json ? json : renderPlan(reviewed, lookOf(process.stdout)))
  if (options.detailedExitcode) process.exitCode = codeOf(reviewed)
}

async function drift(options: { json: boolean; settle: string }): Promise<void> {
  const wait = parseNumber("--settle", options.settle, { min: 0, max: 3600, isWhole: false })
  const { sources, world } = openSystem()
  const first = await review(sources, world, true)
  const found = wait > 0 && codeOf(first) > 0 ? await again(first) : first
  print(
    options.json
      ? JSON.stringify(planDocument(found), undefined, 2)
      : renderPlan(found, lookOf(process.stdout), "drift"),
  )
  process.exitCode = codeOf(found)

  async function again(before: Review): Promise<Review> {
    await sleep(wait * 1000)
    const now = await review(sources, world, true)
    return { ...now, plan: persisting(before.plan, now.plan) }
  }
}

/** What both plans have. */
function persisting(before: Plan, now: Plan): Plan {
  const changes = new Set(before.changes.map(changeKey))
  const withheld = new Set(before.withheld.map(({ change }) => changeKey(change)))
  const stalls = new Set(before.stalls.map(({ tenant, reason }) => `${tenant} ${reason}`))
  return {
    ...now,
    changes: now.changes.filter((change) => changes.has(changeKey(change))),
    withheld: now.withheld.filter(({ change }) => withheld.has(changeKey(change))),
    stalls: now.stalls.filter(({ tenant, reason }) => stalls.has(`${tenant} ${reason}`)),
  }
}

/** 3: somebody has to act; 2: something is to be done; 0: nothing is. */
function codeOf(reviewed: Review): 0 | 2 | 3 {
  const { changes, withheld, stalls } = reviewed.plan
  const isBlocked =
    stalls.length > 0 || faultsOf(reviewed).length > 0 || withheld.some((item) => !isWaiting(item))
  if (isBlocked) return 3
  return changes.length + withheld.length > 0 ? 2 : 0
}
