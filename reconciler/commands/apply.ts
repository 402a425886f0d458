/** tenantry apply: passes until all is done. */
import type { Command } from "commander"
import type { Change } from "../action.ts"
import type { Outcome } from "../apply.ts"
import { TerminalError } from "../errors.ts"
import { entriesOf } from "../ledger.ts"
import { createLogger } from "../log.ts"
import { patiently } from "../patience.ts"
import { assertUnchanged, type PlanDocument, readPlanDocument } from "../plan-document.ts"
import type { Plan } from "../policy.ts"
import { reconcile, type Review } from "../reconcile.ts"
import { countPlan, faultsOf, renderOutcome, renderPlan } from "../render-plan.ts"
import { assertWithin, changeKey, type Limits, selectChanges } from "../selection.ts"
import { inSpan } from "../spans.ts"
import type { TenantId } from "../tenant.ts"
import { lookOf } from "../terminal.ts"
import { startTracing } from "../tracing.ts"
import { examples, onSignal, openSystem, parseNumber, print, tell } from "./shared.ts"

type Options = { once: boolean; tenant?: string; maxChanges?: string; maxRemovals?: string }

export function registerApply(program: Command): void {
  program
    .command("apply")
    .description(
      "make the world match the files; with a saved plan only if nothing changed since it was made",
    )
    .argument("[plan]", "a file that tenantry plan --out has written")
    .option("--once", "one pass: of a rollout of migrations, one wave", false)
    .option("--tenant <tenant>", "only this one, by id or name")
    .option("--max-changes <number>", "do nothing where more than this would be changed")
    .option("--max-removals <number>", "do nothing where more than this would be retired or purged")
    .addHelpText("after", examples("apply", "apply plan.json", "apply --tenant Acme --max-removals 0"))
    .action(apply)
}

/** A change that comes back so often is not going to stay. */
const ENOUGH = 4

async function apply(file: string | undefined, options: Options): Promise<void> {
  const endTracing = await startTracing("tenantry-reconciler", createLogger("reconciler"))
  await applyAll(file, options).finally(endTracing)
}

async function applyAll(file: string | undefined, options: Options): Promise<void> {
  const limits: Limits = {
    changes: limitOf("--max-changes", options.maxChanges),
    removals: limitOf("--max-removals", options.maxRemovals),
  }
  const saved = file === undefined ? undefined : await readPlanDocument(file)
  const { sources, world } = openSystem()
  const look = lookOf(process.stdout)
  const signal = onSignal()
  const done: Change[] = []
  const failed = new Map<TenantId, Outcome>()
  const select = selector({ saved, tenant: options.tenant, limits, done })

  for (let isFirst = true; ; isFirst = false) {
    const hooks: Parameters<typeof reconcile>[2] = {
      signal,
      select,
      planned: (planned) => {
        if (isFirst) print(renderPlan(planned, look))
      },
      progress: (event) => event.kind === "change" && print(renderOutcome(event.outcome, look)),
    }
    const pass = () => inSpan("pass", { isRoot: true }, () => reconcile(sources, world, hooks))
    const { review, outcomes } = await patiently(pass, { signal, say: tell })
    for (const outcome of outcomes) {
      const { tenant } = outcome.change
      if (outcome.error) failed.set(tenant, outcome)
      else failed.delete(tenant)
    }
    const succeeded = outcomes.filter(({ error }) => error === undefined)
    done.push(...succeeded.map(({ change }) => change))
    if (succeeded.length > 0 && !options.once && !signal.aborted) continue

    if (signal.aborted) {
      print("stopped; what was under way is finished by the next apply")
      process.exitCode = 130
    } else if (failed.size > 0 || faultsOf(review).length > 0) process.exitCode = 1
    const left = leftOf(review, outcomes)
    if (done.length + failed.size > 0 || left)
      print(`${done.length} changes done, ${failed.size} failed${left ? `; left: ${left}` : ""}`)
    return
  }
}

/** What each pass may do of what it would do. Throws TerminalError where it may do nothing at all. `done`: what earlier passes did. */
function selector({
  saved,
  tenant,
  limits,
  done,
}: {
  saved: PlanDocument | undefined
  tenant: string | undefined
  limits: Limits
  done: readonly Change[]
}): (reviewed: Review) => Plan {
  const isInScope = saved ? scopeOf(saved) : () => true
  let only: TenantId | undefined
  return (reviewed) => {
    if (saved && done.length === 0) assertUnchanged(saved, reviewed)
    // Whoever is purged or renamed is known no longer by what was said.
    if (tenant !== undefined) only ??= idOf(reviewed, tenant)
    const isMeant = (change: Change) => isInScope(change) && (only === undefined || change.tenant === only)
    const plan = selectChanges(reviewed.plan, reviewed.observed, isMeant)
    assertWithin(limits, done, plan)
    assertSettling(done, plan.changes)
    return plan
  }
}

const limitOf = (option: string, value: string | undefined) =>
  value === undefined ? undefined : parseNumber(option, value, { min: 0 })

/** What a saved plan lets later passes do: what it would do, and what it said would follow. */
function scopeOf({ changes, withheld }: PlanDocument): (change: Change) => boolean {
  const keys = new Set(
    [...changes, ...withheld.filter(({ waiting }) => waiting)].map(({ tenant, kind }) => `${tenant} ${kind}`),
  )
  return (change) => keys.has(changeKey(change))
}

function idOf({ read, observed, fleet }: Review, tenant: string): TenantId {
  const known = [...read.tenants, ...entriesOf(observed.secrets, fleet.fleet)]
  const ids = new Set(
    known.filter(({ id, name }) => id === tenant.toLowerCase() || name === tenant).map(({ id }) => id),
  )
  if (ids.size === 1) return [...ids][0]!
  const how = ids.size === 0 ? "no file and no entry of the ledger has" : "more than one has"
  throw new TerminalError("TenantUnknown", `${how} the tenant ${tenant}: give its id`)
}

function assertSettling(done: readonly Change[], next: readonly Change[]): void {
  const times = Map.groupBy(done, changeKey)
  const restless = next.find((change) => (times.get(changeKey(change))?.length ?? 0) >= ENOUGH)
  if (!restless) return
  throw new TerminalError(
    "NotSettling",
    `${restless.kind} ${restless.name} was done ${ENOUGH} times and is to be done again: something else changes it back`,
  )
}

/** What the last pass saw and did not do; undefined where that is nothing. */
function leftOf(review: Review, outcomes: readonly Outcome[]): string | undefined {
  const { plan } = review
  const { withheld, stalls } = plan
  const undone = { ...plan, changes: outcomes.filter(({ error }) => error).map(({ change }) => change) }
  const count = undone.changes.length + withheld.length + stalls.length + faultsOf(review).length
  return count === 0 ? undefined : `${countPlan({ ...review, plan: undone })}; "tenantry plan" shows it`
}
