/** tenantry apply: one pass. */
import type { Command } from "commander"
import { assertUnchanged, readPlanDocument } from "../plan-document.ts"
import { createLogger } from "../log.ts"
import { reconcile } from "../reconcile.ts"
import { inSpan } from "../spans.ts"
import { startTracing } from "../tracing.ts"
import { renderOutcome, renderPlan } from "../render.ts"
import { examples, onSignal, openSystem, print } from "./shared.ts"

export function registerApply(program: Command): void {
  program
    .command("apply")
    .description("make one pass; with a saved plan only if nothing changed since it was made")
    .argument("[plan]", "a file that tenantry plan --out has written")
    .addHelpText("after", examples("apply", "apply plan.json"))
    .action(apply)
}

async function apply(file: string | undefined): Promise<void> {
  const saved = file === undefined ? undefined : await readPlanDocument(file)
  const { sources, world } = openSystem()
  const endTracing = await startTracing("tenantry-reconciler", createLogger("reconciler"))
  const pass = () =>
    reconcile(sources, world, {
      signal: onSignal(),
      planned: (planned) => {
        if (saved) assertUnchanged(saved, planned)
        print(renderPlan(planned))
      },
      progress: (event) => event.kind === "change" && print(renderOutcome(event.outcome)),
    })
  const { outcomes, review } = await inSpan("pass", { isRoot: true }, pass).finally(endTracing)
  const hasFailed = outcomes.some(({ error }) => error !== undefined) || review.read.problems.length > 0
  if (hasFailed) process.exitCode = 1
}
