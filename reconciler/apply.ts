/** Carries a plan out: tenants side by side, each tenant's actions in order, one failure stops that tenant only. */
import { performance } from "node:perf_hooks"
import { observeAction } from "./action-metrics.ts"
import type { Action, Change } from "./action.ts"
import { TerminalError, TransientError } from "./errors.ts"
import type { Migrations, StepLimits } from "./migrations.ts"
import { type Context, databaseInside, inSession, perform } from "./perform.ts"
import type { Observed } from "./plan.ts"
import type { Plan } from "./policy.ts"
import type { FleetId, Marker } from "./tenant.ts"
import { expectVacancies } from "./vacancies.ts"
import { cellNamed, existingIn, ownerUris, type World } from "./world.ts"

/** What became of one change. Times are in milliseconds. */
export type Outcome = { change: Change; ms: number; error?: TerminalError | TransientError }

export type Progress = (
  event:
    | { kind: "action"; change: Change; action: Action["kind"]; ms: number }
    | { kind: "change"; outcome: Outcome },
) => void

/** Never throws for what happens to a tenant: that is in its outcome. */
export async function apply(
  { changes }: Pick<Plan, "changes">,
  options: {
    world: World
    fleet: FleetId
    migrations: Migrations
    /** For each statement of a migration. */
    limits?: StepLimits
    observed: Observed
    signal: AbortSignal
    progress: Progress
  },
): Promise<Outcome[]> {
  const { world, fleet, migrations, limits, observed, signal, progress } = options
  const urisOf = ownerUris(world)
  const databases = new Map(world.cells.map(({ name }) => [name, existingIn(observed, name) ?? ""]))

  const vacancies = expectVacancies(changes)
  const applyChange = async (change: Change): Promise<Outcome> => {
    const started = performance.now()
    const elapsed = () => Math.round(performance.now() - started)
    const marker: Marker = { fleet, tenant: change.tenant }
    let outcome: Outcome
    try {
      const cell = cellNamed(world, change.cell)
      const [uris, existing] = [urisOf(cell.name), databases.get(cell.name)!]
      const context: Context = { world, cell, migrations, limits, marker, uris, existing }
      const step = async (action: Action): Promise<void> => {
        const begun = performance.now()
        await vacancies.wait(change, action)
        signal.throwIfAborted()
        await observeAction(change, action, () => perform(action, context))
        vacancies.vacate(action)
        progress({ kind: "action", change, action: action.kind, ms: Math.round(performance.now() - begun) })
      }
      for (const actions of inRuns(change.actions)) {
        const work = async () => {
          for (const action of actions) await step(action)
        }
        await (databaseInside(actions[0]!) === undefined ? work() : inSession(context, work))
      }
      outcome = { change, ms: elapsed() }
    } catch (error) {
      outcome = { change, ms: elapsed(), error: asOurs(error, signal) }
    }
    vacancies.finish(change)
    progress({ kind: "change", outcome })
    return outcome
  }
  return Promise.all(changes.map(applyChange))
}

/** The actions in their order; those of one database that share a session are side by side. */
function inRuns(actions: readonly Action[]): Action[][] {
  const runs: Action[][] = []
  for (const action of actions) {
    const [first] = runs.at(-1) ?? []
    const database = databaseInside(action)
    if (first && database !== undefined && databaseInside(first) === database) runs.at(-1)!.push(action)
    else runs.push([action])
  }
  return runs
}

function asOurs(error: unknown, signal: AbortSignal): TerminalError | TransientError {
  if (error instanceof TerminalError || error instanceof TransientError) return error
  if (signal.aborted) {
    const isLate = signal.reason instanceof Error && signal.reason.name === "TimeoutError"
    const why = isLate ? "this pass has used its time" : "the reconciler was asked to stop, or lost its lease"
    return new TransientError("Interrupted", `${why}; the next pass goes on from here`)
  }
  return new TransientError("Unexpected", error instanceof Error ? error.message : String(error))
}
