/**
 * The reconciler's passes in a process of its own, as `tenantry run` makes them: each message is the folder of a fleet
 * that is to come into being, and the answer says how long that took.
 */
import path from "node:path"
import { readConfig } from "../../reconciler/config.ts"
import { reconcile } from "../../reconciler/reconcile.ts"
import { openWorld } from "../../reconciler/world.ts"

async function converge(folder: string): Promise<number> {
  const config = readConfig({
    ...process.env,
    TENANTS_DIR: path.join(folder, "tenants"),
    FLEET_FILE: path.join(folder, "fleet.yaml"),
  })
  const world = openWorld(config)
  const hooks = { signal: new AbortController().signal, planned: () => {}, progress: () => {} }
  const started = performance.now()
  const { outcomes } = await reconcile(config.sources, world, hooks)
  const ms = performance.now() - started
  const failed = outcomes.find(({ error }) => error !== undefined)
  if (failed) throw failed.error!
  const { outcomes: left } = await reconcile(config.sources, world, hooks)
  if (outcomes.length === 0 || left.length > 0) throw new Error("one pass did not bring the fleet into being")
  return ms
}

process.on("message", (folder: string) => void converge(folder).then((ms) => process.send!(ms)))
process.on("disconnect", () => process.exit())
