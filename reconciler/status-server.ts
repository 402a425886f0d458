/** What the fleet looks like now, over HTTP, for people, probes and the command line. */
import { once } from "node:events"
import { createServer, type Server } from "node:http"
import type { FleetStatus } from "./controller.ts"
import { renderMetrics } from "./metrics.ts"
import type { Readiness } from "./readiness.ts"

/** Listens on `port` (0: any free one) of `host` (undefined: all addresses). */
export async function serveStatus(
  port: number,
  host: string | undefined,
  { status, readiness }: { status: FleetStatus; readiness: Readiness },
): Promise<Server> {
  const server = createServer((request, response) => {
    const send = (code: number, body: unknown) => {
      response.writeHead(code, { "content-type": "application/json", "cache-control": "no-store" })
      response.end(`${JSON.stringify(body, undefined, 2)}\n`)
    }
    if (request.method !== "GET") return send(405, { error: "only GET" })
    switch (new URL(request.url ?? "/", "http://localhost").pathname) {
      case "/livez":
        return send(200, { status: "alive" })
      case "/readyz": {
        const isReady = readiness.isReady()
        return send(isReady ? 200 : 503, { status: isReady ? "ready" : "not ready" })
      }
      case "/metrics":
        return void renderMetrics().then(
          ({ type, text }) => response.writeHead(200, { "content-type": type }).end(text),
          () => send(500, { error: "the metrics could not be collected" }),
        )
      case "/":
      case "/status.json":
        return send(200, status)
      default:
        return send(404, { error: "there are /status.json, /livez, /readyz and /metrics" })
    }
  })
  server.listen(port, host)
  await once(server, "listening")
  return server
}
