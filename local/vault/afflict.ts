import { once } from "node:events"
import { setTimeout as sleep } from "node:timers/promises"
import type { Fault } from "./faults.ts"
import { Problem } from "./problem.ts"
import { problemReply, type Outcome, type Reply } from "./reply.ts"

/** How a call would go without a fault, and how it is refused. */
export type Course = {
  act: () => Promise<Reply>
  forbidden: () => Reply
  unauthorized: () => Reply
  /** Ends a delay when the server closes. */
  closing: AbortSignal
  /** Lets go what is held. */
  released: AbortSignal
}

function retryAfter(seconds: number | undefined): Record<string, string> {
  return seconds === undefined ? {} : { "retry-after": String(seconds) }
}

function throttled(seconds?: number): Reply {
  const message = "Request was not processed because too many requests were received."
  return problemReply(new Problem(429, "Throttled", message), retryAfter(seconds))
}

function htmlPage(status: number): Reply {
  const body = `<html><head><title>${status}</title></head><body><center>${status}</center></body></html>`
  return { status, headers: { "content-type": "text/html" }, body }
}

async function delayed(milliseconds: number, course: Course): Promise<Outcome> {
  try {
    await sleep(milliseconds, undefined, { signal: course.closing })
  } catch {
    return "dropped"
  }
  return course.act()
}

async function held(course: Course): Promise<Outcome> {
  const end = AbortSignal.any([course.released, course.closing])
  if (!end.aborted) await once(end, "abort")
  return course.closing.aborted ? "dropped" : course.act()
}

/** Lets a fault have its way with a call. What a list looks like is decided where the list is made. */
export async function afflict(fault: Fault, course: Course): Promise<Outcome> {
  switch (fault.kind) {
    case "throttled":
      return throttled(fault.retryAfterSeconds)
    case "limits":
      return throttled()
    case "unavailable": {
      const problem = new Problem(503, "ServiceUnavailable", "The service is temporarily unavailable.")
      return problemReply(problem, retryAfter(fault.retryAfterSeconds))
    }
    case "server-error":
      return problemReply(new Problem(500, "InternalServerError", "An error has occurred."))
    case "html":
      return htmlPage(fault.status)
    case "delay":
      return delayed(fault.milliseconds, course)
    case "held":
      return held(course)
    case "dropped":
    case "identity-down":
      return "dropped"
    case "lost-response":
      await course.act()
      return "dropped"
    case "truncated-json": {
      const whole = await course.act()
      return { ...whole, body: whole.body.slice(0, Math.ceil(whole.body.length / 2)) }
    }
    case "forbidden":
      return course.forbidden()
    case "revoked":
      return course.unauthorized()
    case "stale-list":
    case "truncated-list":
    case "empty-page":
    case "short-page":
      break
  }
  return course.act()
}
