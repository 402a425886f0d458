/** tenantry run: the loop. */
import type { Command } from "commander"
import { readConfig } from "../config.ts"
import { control, type FleetStatus } from "../controller.ts"
import { createLogger } from "../log.ts"
import { startMetrics } from "../metrics.ts"
import { tellAll } from "../pass-listener.ts"
import { createPassLog } from "../pass-log.ts"
import { measurePasses } from "../pass-metrics.ts"
import { watchReadiness } from "../readiness.ts"
import { serveStatus } from "../status-server.ts"
import { startTracing } from "../tracing.ts"
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
  const endTracing = await startTracing("tenantry-reconciler", log)
  startMetrics({ byTenant: config.metricsByTenant })
  const readiness = watchReadiness(config.interval, Date.now)
  const server = await serveStatus(config.statusPort, config.statusHost, { status, readiness })
  const { tenantsDir } = config.sources
  log.info({ tenantsDir, statusPort: config.statusPort }, "reconciler is watching")
  const listener = tellAll(createPassLog(log), measurePasses(status), readiness)
  const { interval, polling } = config
  await control(config.sources, openWorld(config), { interval, polling, signal, log, status, listener })
  server.close()
  server.closeAllConnections()
  await endTracing()
  log.info("reconciler has stopped")
}
