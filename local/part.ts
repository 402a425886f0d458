/** One of the system's own processes: started, kept running, told to stop. */
import { spawn, type ChildProcess } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { setTimeout as sleep } from "node:timers/promises"

export type Part = { stop: () => Promise<void> }

const LEASH = new URL("leash.ts", import.meta.url).href
/**
 * Node's option for every part: a young generation small enough to spare memory, and large enough that what a request
 * makes dies in it. With half of it a request of the API costs 7 % more. In MB, and V8 takes up to three times as much.
 */
export const HEAP = "--max-semi-space-size=16"
/** Restarts within a minute before we give up. */
const MAX_RESTARTS = 5
/** How long a process may take to end in order; longer than the 25 s that the API allows its requests. */
const GRACE = 30_000

/** What of our own environment every part gets; the rest is its own. */
const COMMON =
  /^(?:PATH|HOME|LANG|TZ|TMPDIR|NODE_COMPILE_CACHE|LOG_LEVEL|METRICS_TENANT_LABEL|OTEL_\w+|EVENTS_WEBHOOK_\w+)$/

/**
 * Runs `node <entry>` with the given environment and starts it again when it ends unasked. Each line that it
 * prints goes to `hear`.
 */
export function startPart(options: {
  entry: string
  arguments?: string[]
  environment: Record<string, string>
  hear: (line: string) => void
  /** It ended by itself and is started again. */
  fell: (how: string) => void
  /** It ends again and again. */
  gaveUp: () => void
}): Part {
  let child: ChildProcess
  let isStopping = false
  const falls: number[] = []
  const common = Object.fromEntries(
    Object.entries(process.env).filter(([name, value]) => COMMON.test(name) && value),
  )

  const start = () => {
    child = spawn(process.execPath, [options.entry, ...(options.arguments ?? [])], {
      env: {
        ...common,
        ...options.environment,
        NODE_OPTIONS: `--import=${LEASH} ${HEAP}`,
        TENANTRY_LEASH: "3",
      },
      // A group of its own: a Ctrl-C on the terminal is for the supervisor, which ends the parts in order.
      detached: true,
      stdio: ["ignore", "pipe", "pipe", "pipe"],
    })
    for (const stream of [child.stdout!, child.stderr!])
      createInterface({ input: stream }).on("line", options.hear)
    child.once("exit", (code, signal) => void restart(signal ?? `exit code ${code}`))
  }
  const restart = async (how: string) => {
    if (isStopping) return
    const minuteAgo = Date.now() - 60_000
    falls.splice(0, falls.length, ...falls.filter((at) => at > minuteAgo), Date.now())
    if (falls.length > MAX_RESTARTS) return options.gaveUp()
    options.fell(how)
    await sleep(200 * 2 ** falls.length)
    if (!isStopping) start()
  }

  start()
  return {
    stop: async () => {
      isStopping = true
      if (child.exitCode !== null || child.signalCode !== null) return
      const exited = once(child, "exit")
      child.kill("SIGTERM")
      const late = setTimeout(() => child.kill("SIGKILL"), GRACE)
      await exited
      clearTimeout(late)
    },
  }
}
