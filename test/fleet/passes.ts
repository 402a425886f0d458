/** Passes of the reconciler in this process: its own clients over the real wire, and all that it has to say of them. */
import { inspect } from "node:util"
import type { Outcome } from "../../reconciler/apply.ts"
import { readConfig } from "../../reconciler/config.ts"
import { reconcile } from "../../reconciler/reconcile.ts"
import { renderOutcome, renderPlan } from "../../reconciler/render-plan.ts"
import { openWorld } from "../../reconciler/world.ts"
import type { FleetWorld } from "./world.ts"

/** `isQuiet`: the world was looked at, and there was nothing to do. `told`: what a person is shown of the pass. */
export type Passed = { isQuiet: boolean; told: string }

export type Passes = ReturnType<typeof openPasses>

/** `timeouts`: how long Neon may take, in milliseconds; shorter than in production, so that tests can wait for it. */
export function openPasses(
  world: FleetWorld,
  timeouts = { request: 1000, mutation: 20_000 },
  config = readConfig(world.environment()),
) {
  const systems = openWorld({ ...config, neon: { ...config.neon, timeouts } })
  let everything = ""

  const tell = (lines: readonly string[], errors: readonly unknown[]): string => {
    const told = lines.join("\n")
    // Errors may end in any log, so what they hold beside their message counts as said.
    everything += `${told}\n${errors.map((error) => inspect(error, { depth: 12 })).join("\n")}\n`
    return told
  }

  return {
    config,
    systems,
    /** What was said so far, with everything that the errors hold. */
    everything: () => everything,

    /** One pass, to its end. Never throws for what the reconciler met. */
    pass: async (signal = new AbortController().signal): Promise<Passed> => {
      const lines: string[] = []
      const failed: Outcome[] = []
      const hooks = {
        signal,
        planned: (review: Parameters<typeof renderPlan>[0]) => void lines.push(renderPlan(review)),
        progress: () => {},
      }
      try {
        const { outcomes } = await reconcile(config.sources, systems, hooks)
        lines.push(...outcomes.map((outcome) => renderOutcome(outcome)))
        failed.push(...outcomes.filter(({ error }) => error !== undefined))
        const told = tell(
          lines,
          failed.map(({ error }) => error),
        )
        return { isQuiet: outcomes.length === 0, told }
      } catch (error) {
        const { reason, message } = error as Error & { reason?: string }
        return { isQuiet: false, told: tell([...lines, `pass failed: ${reason}: ${message}`], [error]) }
      }
    },
  }
}
