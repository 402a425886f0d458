/** Metrics on a port of their own, which no ingress need show. */
import { once } from "node:events"
import { createServer, type Server } from "node:http"
import { renderMetrics } from "./metrics.ts"

/** Serves GET /metrics to whoever reaches the port; 0: any free one. `host` undefined: all addresses. */
export async function serveMetrics(port: number, host: string | undefined): Promise<Server> {
  const server = createServer((request, response) => {
    const isAsked = request.method === "GET" && request.url === "/metrics"
    if (!isAsked) {
      response.writeHead(404).end("there is GET /metrics\n")
      return
    }
    renderMetrics().then(
      ({ type, text }) => response.writeHead(200, { "content-type": type }).end(text),
      () => response.writeHead(500).end(),
    )
  })
  server.maxConnections = 100
  server.listen(port, host)
  await once(server, "listening")
  return server
}
