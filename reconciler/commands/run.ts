/** tenantry run: the loop. */
import type { Command } from "commander"
import { readConfig } from "../config.ts"
import { control, type FleetStatus } from "../controller.ts"
import type { Authority } from "../environment.ts"
import { TerminalError } from "../errors.ts"
import { keepEvents } from "../events.ts"
import { viewFleet } from "../fleet-view.ts"
import { collectEarly } from "../heap.ts"
import { createLogger, type Logger } from "../log.ts"
import { serveMetrics } from "../metrics-server.ts"
import { startMetrics } from "../metrics.ts"
import { tellAll } from "../pass-listener.ts"
import { createPassLog } from "../pass-log.ts"
import { measurePasses } from "../pass-metrics.ts"
import { openWebhook } from "../providers/webhook.ts"
import { watchReadiness } from "../readiness.ts"
import { openAccess } from "../status-access.ts"
import { serveStatus } from "../status-server.ts"
import { startTracing } from "../tracing.ts"
import { openWorld } from "../world.ts"
import { examples, onSignal } from "./shared.ts"

export function registerRun(program: Command): void {
  program
    .command("run")
    .description("watch the files and keep the world as they declare, until SIGTERM")
    .addHelpText("after", examples("run"))
    .action(run)
}

async function run(): Promise<void> {
  collectEarly()
  const log = createLogger("reconciler")
  const config = readConfig(process.env)
  const signal = onSignal(0)
  signal.addEventListener("abort", () => log.info("reconciler is stopping"))
  const status: FleetStatus = { tenants: [], problems: [], lastPass: undefined, lastError: undefined }
  const endTracing = await startTracing("tenantry-reconciler", log)
  startMetrics(config.metrics)
  const readiness = watchReadiness(config.interval, Date.now)
  const events = keepEvents(log, Date.now)
  const view = viewFleet(status, events)
  const access = openAccess(config.authority, config.neon.apiKey, Date.now)
  warnOfAccess(config.authority, log)
  const server = await serveStatus(config.statusPort, config.statusHost, {
    view,
    events,
    access,
    readiness,
  }).catch((error: NodeJS.ErrnoException) => {
    throw new TerminalError(
      "NoStatusPort",
      `port ${config.statusPort} for the status cannot be had (${error.code}): set STATUS_PORT or STATUS_HOST, or end the reconciler that runs already`,
    )
  })
  const { port, host } = config.metrics
  const metrics = port === undefined ? undefined : await serveMetrics(port, host)
  if (config.webhook) events.subscribe(openWebhook(config.webhook, { log, signal }))
  const { tenantsDir } = config.sources
  log.info({ tenantsDir, statusPort: config.statusPort }, "reconciler is watching")
  const listener = tellAll(createPassLog(log), measurePasses(status), readiness, events, view)
  const { interval, polling } = config
  await control(config.sources, openWorld(config), { interval, polling, signal, log, status, listener })
  for (const one of [server, metrics]) {
    one?.close()
    one?.closeAllConnections()
  }
  await endTracing()
  log.info("reconciler has stopped")
}

function warnOfAccess(authority: Authority | undefined, log: Logger): void {
  if (authority === undefined)
    log.warn(
      "OIDC_ISSUER and OIDC_AUDIENCE are not set, so nobody may look at the status page; AUTH=off would let everybody",
    )
  if (authority?.kind === "off") log.info("AUTH=off: whoever reaches the status port may look at the fleet")
}
