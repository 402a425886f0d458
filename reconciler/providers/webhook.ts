/** Tells another system of events: CloudEvents 1.0 over HTTP, signed as Standard Webhooks says. */
import { createHmac } from "node:crypto"
import { setTimeout as sleep } from "node:timers/promises"
import { Counter, Gauge } from "prom-client"
import type { FleetEvent } from "../events.ts"
import { keepSecret, type Logger } from "../log.ts"

export type WebhookSettings = {
  url: string
  /** whsec_ and base64, see standardwebhooks.com. */
  secret: string
}

const deliveries = new Counter({
  name: "tenantry_webhook_deliveries_total",
  help: "Events by what became of them: sent, refused (the receiver will not have it), given-up (too many tries) or dropped (the queue was full).",
  labelNames: ["outcome"],
})
const queued = new Gauge({ name: "tenantry_webhook_queue", help: "Events that wait to be sent." })

// A series that is there from the start shows its first increase.
for (const outcome of ["sent", "refused", "given-up", "dropped"]) deliveries.inc({ outcome }, 0)

const MAX_QUEUE = 1000
const MAX_TRIES = 10
const FIRST_PAUSE = 1000
const LAST_PAUSE = 60_000
const TIME_LIMIT = 10_000

/** The event as a CloudEvent in the JSON format. Source: cloudevents.io, version 1.0.2. */
const toCloudEvent = (event: FleetEvent) => ({
  specversion: "1.0",
  id: event.id,
  source: `/tenantry/${event.fleet}`,
  type: `tenantry.${event.type}`,
  time: new Date(event.at).toISOString(),
  ...(event.tenant === undefined ? {} : { subject: event.tenant }),
  ...(event.traceparent === undefined ? {} : { traceparent: event.traceparent }),
  datacontenttype: "application/json",
  data: {
    tenant: event.tenant,
    name: event.name,
    why: event.why,
    reason: event.reason,
    pass: event.pass,
  },
})

/** The headers that prove who sends it. `at`: seconds since 1970. */
function sign(secret: string, id: string, at: number, body: string): Record<string, string> {
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64")
  const signature = createHmac("sha256", key).update(`${id}.${at}.${body}`).digest("base64")
  return { "webhook-id": id, "webhook-timestamp": String(at), "webhook-signature": `v1,${signature}` }
}

/**
 * Sends events one after the other, in their order. One that is not taken is sent again, with its own id, after 1, 2,
 * 4 … 60 s, ten times in all. Where too many wait, the oldest is dropped. `signal` ends it.
 */
export function openWebhook(
  settings: WebhookSettings,
  { log, signal, pause = FIRST_PAUSE }: { log: Logger; signal: AbortSignal; pause?: number },
): (event: FleetEvent) => void {
  keepSecret(settings.secret)
  const queue: FleetEvent[] = []
  let isBusy = false

  async function post(event: FleetEvent): Promise<"sent" | "refused" | { retryAfter: number | undefined }> {
    const body = JSON.stringify(toCloudEvent(event))
    try {
      const response = await fetch(settings.url, {
        method: "POST",
        redirect: "manual",
        headers: {
          "content-type": "application/cloudevents+json",
          ...sign(settings.secret, event.id, Math.floor(Date.now() / 1000), body),
        },
        body,
        signal: AbortSignal.any([signal, AbortSignal.timeout(TIME_LIMIT)]),
      })
      await response.body?.cancel()
      if (response.ok) return "sent"
      const isPassing = response.status >= 500 || [408, 425, 429].includes(response.status)
      if (!isPassing) return "refused"
      const seconds = Number(response.headers.get("retry-after"))
      return { retryAfter: seconds > 0 ? seconds * 1000 : undefined }
    } catch {
      return { retryAfter: undefined }
    }
  }

  async function deliver(event: FleetEvent): Promise<"sent" | "refused" | "given-up"> {
    for (let tries = 1; ; tries++) {
      const answer = await post(event)
      if (typeof answer === "string") return answer
      if (tries === MAX_TRIES || signal.aborted) return "given-up"
      const longest = Math.min(pause * 2 ** (tries - 1), LAST_PAUSE) * (0.75 + Math.random() / 2)
      await sleep(Math.min(answer.retryAfter ?? longest, LAST_PAUSE), undefined, { signal }).catch(() => {})
    }
  }

  async function work(): Promise<void> {
    isBusy = true
    for (let event = queue.shift(); event !== undefined && !signal.aborted; event = queue.shift()) {
      queued.set(queue.length)
      const outcome = await deliver(event)
      deliveries.inc({ outcome })
      if (outcome !== "sent")
        log.error({ event: event.id, type: event.type, outcome }, "an event was not taken")
    }
    isBusy = false
  }

  return (event) => {
    queue.push(event)
    if (queue.length > MAX_QUEUE) {
      queue.shift()
      deliveries.inc({ outcome: "dropped" })
    }
    queued.set(queue.length)
    if (!isBusy) void work()
  }
}
