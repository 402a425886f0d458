/**
 * The reconciler's passes in a process of its own, as `tenantry run` makes them: each message is the folder of a fleet
 * that is to come into being, and the answer says how long that took.
 */
import path from "node:path"
import { readConfig } from "../../reconciler/config.ts"
import { collectEarly } from "../../reconciler/heap.ts"
import { reconcile, type Review } from "../../reconciler/reconcile.ts"
import { openWorld } from "../../reconciler/world.ts"

collectEarly()

async function converge(folder: string): Promise<number> {
  const config = readConfig({
    ...process.env,
    TENANTS_DIR: path.join(folder, "tenants"),
    FLEET_FILE: path.join(folder, "fleet.yaml"),
  })
  const world = openWorld(config)
  const reviews: Review[] = []
  const hooks = {
    signal: new AbortController().signal,
    planned: (review: Review) => reviews.push(review),
    progress: () => {},
  }
  const started = performance.now()
  const { outcomes } = await reconcile(config.sources, world, hooks)
  const ms = performance.now() - started
  const failed = outcomes.find(({ error }) => error !== undefined)
  if (failed) throw failed.error!
  const { outcomes: left } = await reconcile(config.sources, world, hooks)
  const unsolved = reviews.flatMap(({ read, plan }) => [...read.problems, ...plan.stalls, ...plan.withheld])
  const wanted = reviews[0]!.read.tenants.length
  if (outcomes.length !== wanted || left.length > 0 || unsolved.length > 0)
    throw new Error(
      `one pass made ${outcomes.length} of ${wanted} tenants, the next changed ${left.length}, and ${JSON.stringify(unsolved).slice(0, 400)}`,
    )
  return ms
}

process.on("message", (folder: string) => void converge(folder).then((ms) => process.send!(ms)))
process.on("disconnect", () => process.exit())
