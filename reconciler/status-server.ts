/** What the fleet looks like now, over HTTP: a page for people, JSON for programs, probes and metrics. */
import { once } from "node:events"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import { promisify } from "node:util"
import { gzip } from "node:zlib"
import type { Events } from "./events.ts"
import type { FleetView } from "./fleet-view.ts"
import { streamFleet } from "./live-stream.ts"
import { renderMetrics } from "./metrics.ts"
import { type PageFile, readPageFiles } from "./page-files.ts"
import type { Readiness } from "./readiness.ts"
import type { Access } from "./status-access.ts"
import { TenantId } from "./tenant.ts"

export type StatusParts = { view: FleetView; events: Events; access: Access; readiness: Readiness }

/** Nothing but our own files, and nobody may frame them. No markup is ever made from text. */
const SECURITY = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
}
const EVENTS_SHOWN = 200
/** Smaller answers are not worth compressing; bytes. */
const COMPRESS_FROM = 2000
const zip = promisify(gzip)

type Exchange = { request: IncomingMessage; response: ServerResponse; path: string }

/** Listens on `port` (0: any free one) of `host` (undefined: all addresses). */
export async function serveStatus(
  port: number,
  host: string | undefined,
  { view, events, access, readiness }: StatusParts,
): Promise<Server> {
  const files = readPageFiles()
  const stream = streamFleet(view)

  /** What needs no token: it says nothing of any tenant. Returns whether it was asked for. */
  async function answerOpen({ request, response, path }: Exchange): Promise<boolean> {
    const file = files.get(path.startsWith("/page/") ? path.slice(6) : "")
    if (path === "/livez") sendJson(response, 200, { status: "alive" })
    else if (path === "/readyz") {
      const isReady = readiness.isReady()
      sendJson(response, isReady ? 200 : 503, { status: isReady ? "ready" : "not ready" })
    } else if (/^\/(?:|plan|events|tenants\/[0-9a-f-]{36})$/.test(path))
      sendFile(request, response, files.get("page.html")!)
    else if (file) sendFile(request, response, file)
    else return false
    return true
  }

  async function answerSession({ request, response }: Exchange): Promise<void> {
    if (request.method === "GET") {
      sendJson(response, 200, { isOpen: access.hasSession(request) })
      return
    }
    if (request.method === "DELETE") {
      response.writeHead(204, { "set-cookie": access.signOut(request) }).end()
      return
    }
    const signedIn = await access.signIn(request)
    if ("cookie" in signedIn) response.writeHead(204, { "set-cookie": signedIn.cookie }).end()
    else sendRefusal(response, signedIn)
  }

  async function answerData({ request, response, path }: Exchange): Promise<void> {
    const refusal = await access.refuse(request)
    if (refusal) {
      sendRefusal(response, refusal)
      return
    }
    const tenant = TenantId.safeParse(/^\/tenants\/([^/]+)\.json$/.exec(path)?.[1])
    const found = tenant.success ? view.tenant(tenant.data) : undefined
    if (path === "/status.json")
      await sendLarge(request, response, { ...view.head(), tenants: view.tenants() })
    else if (path === "/events.json")
      await sendLarge(request, response, { events: events.recent(EVENTS_SHOWN) })
    else if (path === "/metrics") {
      const { type, text } = await renderMetrics()
      response.writeHead(200, { "content-type": type, "cache-control": "no-store" }).end(text)
    } else if (found) await sendLarge(request, response, found)
    else if (path === "/stream" && request.method === "GET") {
      if (!stream.add(response)) sendJson(response, 503, { error: "too many pages are open" })
    } else sendJson(response, 404, { error: "there are /, /status.json, /livez, /readyz and /metrics" })
  }

  async function answer(exchange: Exchange): Promise<void> {
    const { request, response, path } = exchange
    const isSession = path === "/session"
    const methods = isSession ? ["GET", "POST", "DELETE"] : ["GET", "HEAD"]
    if (!methods.includes(request.method ?? "")) {
      response.setHeader("allow", methods.join(", "))
      sendJson(response, 405, { error: `only ${methods.join(" and ")}` })
    } else if (isSession) await answerSession(exchange)
    else if (!(await answerOpen(exchange))) await answerData(exchange)
  }

  const server = createServer({ requestTimeout: 30_000 }, (request, response) => {
    for (const [name, value] of Object.entries(SECURITY)) response.setHeader(name, value)
    const [path = "/"] = (request.url ?? "/").split("?")
    answer({ request, response, path }).catch(() => {
      if (!response.headersSent) sendJson(response, 500, { error: "it failed; the log says why" })
      else response.destroy()
    })
  })
  server.maxConnections = 1000
  server.listen(port, host)
  await once(server, "listening")
  return server
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" })
  response.end(`${JSON.stringify(body, undefined, 2)}\n`)
}

function sendRefusal(
  response: ServerResponse,
  { status, message }: { status: number; message: string },
): void {
  if (status === 401) response.setHeader("www-authenticate", "Bearer")
  sendJson(response, status, { error: message })
}

/** Compressed where the client takes that: ten thousand tenants are 3 MB of JSON. */
async function sendLarge(request: IncomingMessage, response: ServerResponse, body: unknown): Promise<void> {
  const text = `${JSON.stringify(body, undefined, 1)}\n`
  const mayZip = /\bgzip\b/.test(request.headers["accept-encoding"] ?? "")
  response.setHeader("content-type", "application/json")
  response.setHeader("cache-control", "no-store")
  if (!mayZip || text.length < COMPRESS_FROM) {
    response.end(text)
    return
  }
  response.setHeader("content-encoding", "gzip")
  response.end(await zip(text, { level: 4 }))
}

function sendFile(request: IncomingMessage, response: ServerResponse, { type, body, etag }: PageFile): void {
  response.setHeader("etag", etag)
  response.setHeader("cache-control", "no-cache")
  if (request.headers["if-none-match"] === etag) {
    response.writeHead(304).end()
    return
  }
  response.writeHead(200, { "content-type": type, "content-length": body.length })
  response.end(request.method === "HEAD" ? undefined : body)
}
