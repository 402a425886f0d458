/** tenantry run: the loop. */
import type { Command } from "commander"
import { readConfig } from "../config.ts"
import { control, type FleetStatus } from "../controller.ts"
import { createLogger } from "../log.ts"
import { serveStatus } from "../status-server.ts"
import { openWorld } from "../world.ts"
import { examples, onSignal } from "./shared.ts"

/** How long what is under way may take to end after SIGTERM; milliseconds. */
const STOP_WITHIN = 8000

export function registerRun(program: Command): void {
  program
    .command("run")
    .description("watch the files and keep the world as they declare, until SIGTERM")
    .addHelpText("after", examples("run"))
    .action(run)
}

async function run(): Promise<void> {
  const log = createLogger("reconciler")
  const config = readConfig(process.env)
  const signal = onSignal()
  signal.addEventListener("abort", () => {
    log.info("reconciler is stopping")
    // What is under way is safe to abandon: the next reconciler observes it and goes on.
    setTimeout(() => process.exit(0), STOP_WITHIN).unref()
  })
  const status: FleetStatus = { tenants: [], problems: [], lastPass: undefined, lastError: undefined }
  const server = await serveStatus(config.statusPort, config.statusHost, status)
  const { tenantsDir } = config.sources
  log.info({ tenantsDir, statusPort: config.statusPort }, "reconciler is watching")
  const { interval, polling } = config
  await control(config.sources, openWorld(config), { interval, polling, signal, log, status })
  server.close()
  server.closeAllConnections()
  log.info("reconciler has stopped")
}
