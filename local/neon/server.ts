/** HTTP: authentication, routing, faults, errors in Neon's shape, and the log of calls. */
import { randomUUID, timingSafeEqual } from "node:crypto"
import { once } from "node:events"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { checkPath, Refusal, type Answer, type Call, type World } from "./answer.ts"
import { createFaults, type Faults } from "./faults.ts"
import { inflict } from "./inflict.ts"
import { parseFault } from "./parse-fault.ts"
import { findRoute, ROUTES, type Route, type RouteName } from "./routes.ts"

/** One call that was answered; `status` is 0 when the connection was cut instead. */
export type LoggedCall = { method: string; route: RouteName | "unknown"; status: number }

export type HttpServer = {
  port: number
  faults: Faults
  calls: () => readonly LoggedCall[]
  resetCalls: () => void
  close: () => Promise<void>
}

const BASE = "/api/v2"
const BODY_LIMIT_BYTES = 1 << 20
const CALLS_KEPT = 20_000

/** Neon's own limits for one branch. */
const LIMIT_OF_BRANCH = 500

/** Serves `worlds`, one project each, on 127.0.0.1; port 0 takes a free one. A path without a project is the first's. */
export async function listen(options: {
  worlds: readonly [World, ...World[]]
  apiKey: string
  port: number
}): Promise<HttpServer> {
  const { worlds, apiKey } = options
  const { faults, strike } = createFaults(() => {
    for (const { operations } of worlds) operations.release()
  })
  let closing = false
  let calls: LoggedCall[] = []
  const log = (call: LoggedCall) => {
    calls.push(call)
    if (calls.length > CALLS_KEPT) calls = calls.slice(-CALLS_KEPT / 2)
  }

  async function answerCall(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const method = request.method ?? ""
    const [path, search] = splitOnce(request.url ?? "", "?")
    const requestId = requestIdOf(request)
    let route: RouteName | "unknown" = "unknown"
    let answer: Answer | "dropped"
    try {
      answer = await decide()
    } catch (error) {
      if (response.destroyed || closing) return void response.destroy()
      answer = refuse(error, requestId)
    }
    log({ method, route, status: answer === "dropped" ? 0 : answer.status })
    if (answer === "dropped") response.destroy()
    else send(response, answer, requestId)

    async function decide(): Promise<Answer | "dropped"> {
      if (path.includes("//")) return redirect(path, search)
      if (!hasKey(request, apiKey)) throw new Refusal(401, "supplied credentials do not pass authentication")
      const body = await readJson(request)
      if (path === "/_faults") return answerFaults(method, body, faults)
      const found = path.startsWith(`${BASE}/`) ? findRoute(method, path.slice(BASE.length)) : undefined
      if (found === undefined) {
        throw new Refusal(
          501,
          `the Neon stand-in does not implement ${method} ${path}: add the route before using it`,
        )
      }
      route = found.name
      const call: Call = {
        params: found.params,
        query: new URLSearchParams(search),
        body,
        outcome: { kind: "finishes" },
        limit: LIMIT_OF_BRANCH,
      }
      const project = found.params["project_id"]
      const world = worlds.find(({ cell }) => cell.projectId === project) ?? worlds[0]
      const handler: Route["handle"] = ROUTES[found.name].handle
      const act = async (changes: Partial<Call> = {}) => {
        checkPath(call, world)
        return handler({ ...call, ...changes }, world)
      }
      const fault = strike(found.name, project)
      return fault === undefined ? act() : inflict(fault, act, world)
    }
  }

  const server = createServer((request, response) => {
    void answerCall(request, response)
  })
  server.listen(options.port, "127.0.0.1")
  await once(server, "listening")
  return {
    port: (server.address() as AddressInfo).port,
    faults,
    calls: () => calls,
    resetCalls: () => {
      calls = []
    },
    close: async () => {
      closing = true
      const closed = once(server, "close")
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator)
  return at === -1 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)]
}

/** The caller's own id if it sent one, so that both sides' records can be matched. */
function requestIdOf(request: IncomingMessage): string {
  const given = request.headers["x-request-id"]
  return typeof given === "string" && /^[\x21-\x7e]{1,128}$/.test(given) ? given : randomUUID()
}

function hasKey(request: IncomingMessage, apiKey: string): boolean {
  const given = Buffer.from(request.headers.authorization ?? "")
  const wanted = Buffer.from(`Bearer ${apiKey}`)
  return given.length === wanted.length && timingSafeEqual(given, wanted)
}

function redirect(path: string, search: string): Answer {
  const location = path.replace(/\/{2,}/g, "/") + (search === "" ? "" : `?${search}`)
  return { status: 307, headers: { Location: location }, text: { type: "text/plain", content: "" } }
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > BODY_LIMIT_BYTES) throw new Refusal(413, `the body is larger than ${BODY_LIMIT_BYTES} bytes`)
    chunks.push(chunk)
  }
  if (size === 0) return undefined
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8")) as unknown
  } catch {
    throw new Refusal(400, "the body is not valid JSON")
  }
}

function answerFaults(method: string, body: unknown, faults: Faults): Answer {
  switch (method) {
    case "GET":
      return { status: 200, body: { faults: faults.list() } }
    case "POST":
      try {
        faults.add(...(Array.isArray(body) ? body : [body]).map((each) => parseFault(each)))
      } catch (error) {
        throw new Refusal(400, (error as Error).message)
      }
      return { status: 201, body: { faults: faults.list() } }
    case "DELETE":
      faults.clear()
      return { status: 200, body: { faults: [] } }
    default:
      throw new Refusal(405, "/_faults answers GET, POST and DELETE")
  }
}

function refuse(error: unknown, requestId: string): Answer {
  if (error instanceof Refusal) {
    const body = { request_id: requestId, code: error.code, message: error.message }
    return { status: error.status, headers: error.headers, body }
  }
  if (error instanceof URIError) {
    return { status: 400, body: { request_id: requestId, code: "", message: "the path is not well encoded" } }
  }
  process.stderr.write(`neon stand-in: request ${requestId} failed: ${String(error)}\n`)
  return {
    status: 500,
    body: { request_id: requestId, code: "", message: "internal error of the Neon stand-in" },
  }
}

function send(response: ServerResponse, answer: Answer, requestId: string): void {
  response.setHeader("X-Request-ID", requestId)
  for (const [name, value] of Object.entries(answer.headers ?? {})) response.setHeader(name, value)
  if (answer.status === 204) {
    response.writeHead(204).end()
    return
  }
  const { type, content } = answer.text ?? { type: "application/json", content: JSON.stringify(answer.body) }
  response.writeHead(answer.status, { "Content-Type": type, "Content-Length": Buffer.byteLength(content) })
  response.end(content)
}
