/** The HTTP server: what one connection may take of it, and for how long. */
import { randomUUID } from "node:crypto"
import { createServer, type RequestListener, type Server, type ServerResponse, STATUS_CODES } from "node:http"
import type { Duplex } from "node:stream"
import { codeOf } from "./failures.ts"
import { problemJson, type ProblemKey, PROBLEMS } from "./problems.ts"

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
    // The application says so itself, where it is missing.
    requireHostHeader: false,
    headersTimeout: head,
    requestTimeout: request,
    keepAliveTimeout: idle,
    connectionsCheckingInterval: Math.min(head, 5000),
  })
  server.maxConnections = connections
  server.on("clientError", refuse)
  server.on("checkExpectation", (_request, response) => {
    const [status, fields, body] = answerOf(
      "expectation-unknown",
      "nothing but 100-continue is expected of this API",
    )
    response.writeHead(status, fields).end(body)
  })
  // Without it a client that reads nothing keeps its answers in memory for as long as it likes. Node destroys a socket
  // of which neither an event nor a byte was seen for so long, and sets the limit anew when the answer is out.
  function limitSilence(this: ServerResponse): void {
    this.socket?.setTimeout(silence)
  }
  server.on("request", (_request, response) => response.on("prefinish", limitSilence))
  server.on("request", app)
  return server
}

/** What of a request Node cannot take: it never gets as far as the application. */
const REFUSALS: Record<string, [ProblemKey, string]> = {
  HPE_HEADER_OVERFLOW: ["head-too-large", "the request's head is larger than 16 KiB"],
  ERR_HTTP_REQUEST_TIMEOUT: ["request-too-slow", "the request did not come in time"],
}
const MALFORMED: [ProblemKey, string] = ["request-malformed", "the request is not HTTP/1.1"]

/** Says so to who is still there and was not just being answered, and closes the connection. */
function refuse(error: Error, socket: Duplex & { _httpMessage?: ServerResponse | null }): void {
  if (!socket.writable || socket._httpMessage?.headersSent === true) return void socket.destroy()
  const [status, head, body] = answerOf(...(REFUSALS[codeOf(error) ?? ""] ?? MALFORMED))
  const lines = Object.entries(head).map(([name, value]) => `${name}: ${value}\r\n`)
  const top = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join("")}Connection: close\r\n\r\n`
  socket.end(top + body, () => socket.destroy())
}

function answerOf(
  key: ProblemKey,
  detail: string,
): [status: number, head: Record<string, string>, body: string] {
  const requestId = randomUUID()
  const body = JSON.stringify(problemJson(key, detail, requestId))
  const head = {
    "Content-Type": "application/problem+json; charset=utf-8",
    "Content-Length": String(Buffer.byteLength(body)),
    "X-Request-Id": requestId,
    "X-Content-Type-Options": "nosniff",
  }
  return [PROBLEMS[key][0], head, body]
}
