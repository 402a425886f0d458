/** Server-sent events: each change of the fleet, to every page that is open. */
import type { ServerResponse } from "node:http"
import { Gauge } from "prom-client"
import type { FleetDelta, FleetView } from "./fleet-view.ts"

const open = new Gauge({
  name: "tenantry_status_streams",
  help: "Status pages that are told of changes now.",
})

const MAX_STREAMS = 100
/** Proxies end a connection on which nothing is said; milliseconds. */
const HEARTBEAT = 15_000
/** Bytes that a page may be behind; one that is more so is cut off, and comes again for the whole. */
const MAX_BEHIND = 8_000_000

export type LiveStream = {
  /** Tells this client of every change from now on. Returns false where too many are told already. */
  add: (response: ServerResponse) => boolean
}

export function streamFleet(view: FleetView): LiveStream {
  const clients = new Set<ServerResponse>()
  let unsubscribe: (() => void) | undefined
  let heartbeat: NodeJS.Timeout | undefined

  const write = (text: string) => {
    for (const client of clients) {
      if (client.writableLength > MAX_BEHIND) client.destroy()
      else client.write(text)
    }
  }
  const tell = (delta: FleetDelta) => write(`data: ${JSON.stringify(delta)}\n\n`)
  const start = () => {
    unsubscribe = view.subscribe(tell)
    heartbeat = setInterval(() => write(": still here\n\n"), HEARTBEAT).unref()
  }
  const stop = () => {
    unsubscribe?.()
    clearInterval(heartbeat)
  }

  return {
    add(response) {
      if (clients.size >= MAX_STREAMS) return false
      response.writeHead(200, { "content-type": "text/event-stream", "x-accel-buffering": "no" })
      response.write("retry: 2000\n\n")
      clients.add(response)
      open.set(clients.size)
      if (clients.size === 1) start()
      response.once("close", () => {
        clients.delete(response)
        open.set(clients.size)
        if (clients.size === 0) stop()
      })
      return true
    },
  }
}
