/** The HTTP server: what one connection may take of it, and for how long. */
import { createServer, type RequestListener, type Server, type ServerResponse } from "node:http"

/** All but `connections` in milliseconds. */
export type ServerLimits = {
  /** For a request's head, and for all of it. */
  head: number
  request: number
  /** How long a client may take none of an answer's bytes. */
  silence: number
  /** How long an unused connection stays open. */
  idle: number
  /** Open at one time. */
  connections: number
}

export const LIMITS: ServerLimits = {
  head: 10_000,
  request: 30_000,
  silence: 30_000,
  // Longer than proxies keep theirs, so that none sends a request on a connection that is just being closed.
  idle: 300_000,
  connections: 10_000,
}

/** Serves `app`; it does not listen yet. */
export function createApiServer(app: RequestListener, limits: ServerLimits = LIMITS): Server {
  const { head, request, silence, idle, connections } = limits
  const server = createServer({
    headersTimeout: head,
    requestTimeout: request,
    keepAliveTimeout: idle,
    connectionsCheckingInterval: Math.min(head, 5000),
  })
  server.maxConnections = connections
  // Without it a client that reads nothing keeps its answers in memory for as long as it likes. Node destroys a socket
  // of which neither an event nor a byte was seen for so long, and sets the limit anew when the answer is out.
  function limitSilence(this: ServerResponse): void {
    this.socket?.setTimeout(silence)
  }
  server.on("request", (_request, response) => response.on("prefinish", limitSilence))
  server.on("request", app)
  return server
}
