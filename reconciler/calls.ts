/** Calls to other systems: each is counted, timed and, where tracing is on, a span. */
import { SpanKind } from "@opentelemetry/api"
import { Counter, Histogram } from "prom-client"
import { SECONDS } from "./metrics.ts"
import { inSpan } from "./spans.ts"

type System = "neon" | "vault" | "postgres"

const calls = new Counter({
  name: "tenantry_calls_total",
  help: "Calls to Neon's API and to Key Vault, each try by itself, and sessions with Postgres; status is HTTP's, Postgres's code, or none where no answer came.",
  labelNames: ["system", "operation", "status"],
})
const seconds = new Histogram({
  name: "tenantry_call_duration_seconds",
  help: "How long calls took.",
  labelNames: ["system", "operation"],
  buckets: SECONDS,
})
const retries = new Counter({
  name: "tenantry_call_retries_total",
  help: "Calls that were sent again, by the status that they were answered before.",
  labelNames: ["system", "status"],
})

const made: Record<System, number> = { neon: 0, vault: 0, postgres: 0 }

/** How many calls were made since the process began. */
export const callsMade = (): Record<System, number> => ({ ...made })

/** What a call's outcome is called in the metrics. */
type Reading<T> = {
  done: (value: T) => number | string
  failed: (error: unknown) => number | string | undefined
}

/** Runs one call; `operation` is from a small set of names, with no id in it. */
export async function observeCall<T>(
  system: System,
  operation: string,
  reading: Reading<T>,
  run: () => Promise<T>,
): Promise<T> {
  made[system]++
  const stop = seconds.startTimer({ system, operation })
  const ended = (status: number | string | undefined): string => {
    stop()
    const said = String(status ?? "none")
    calls.inc({ system, operation, status: said })
    return said
  }
  const attributes = { "tenantry.system": system, "tenantry.operation": operation }
  return inSpan(`${system} ${operation}`, { attributes, kind: SpanKind.CLIENT }, async (span) => {
    let value: T
    try {
      value = await run()
    } catch (error) {
      const status = ended(reading.failed(error))
      span?.setAttribute("tenantry.status", status)
      throw error
    }
    const status = ended(reading.done(value))
    span?.setAttribute("tenantry.status", status)
    return value
  })
}

/** A call is about to be sent again; `status` is what it was answered before. */
export const countRetry = (system: System, status: number | string | undefined): void =>
  retries.inc({ system, status: String(status ?? "none") })
