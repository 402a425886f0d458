import { randomUUID } from "node:crypto"
import type { IncomingMessage, ServerResponse } from "node:http"
import { Problem, problemBody } from "./problem.ts"

/** An answer ready to be sent. */
export type Reply = { status: number; headers: Record<string, string>; body: string }

/** What becomes of a call: an answer, or a connection closed without one. */
export type Outcome = Reply | "dropped"

/** A request with its body read. */
export type Incoming = {
  method: string
  url: URL
  authorization: string | undefined
  identityHeader: string | undefined
  body: string
}

const maxBodyBytes = 8 * 1024 * 1024

/** An answer with a JSON body, or with none. */
export function jsonReply(status: number, body?: unknown, headers: Record<string, string> = {}): Reply {
  if (body === undefined) return { status, headers, body: "" }
  return {
    status,
    headers: { "content-type": "application/json; charset=utf-8", ...headers },
    body: JSON.stringify(body),
  }
}

/** The answer for a refusal; anything but a Problem is a fault of this server, and says so under 500. */
export function problemReply(error: unknown, headers: Record<string, string> = {}): Reply {
  const problem =
    error instanceof Problem
      ? error
      : error instanceof URIError
        ? new Problem(400, "BadParameter", "The request URI is not well formed.")
        : new Problem(500, "InternalServerError", `local vault: ${String(error)}`)
  return jsonReply(problem.status, problemBody(problem), headers)
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > maxBodyBytes)
      throw new Problem(413, "RequestEntityTooLarge", `more than ${maxBodyBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

function headerOf(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name]
  return Array.isArray(value) ? value[0] : value
}

/** Parses a JSON body; throws 400 when it is none. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new Problem(400, "BadParameter", "The request body is not valid JSON.")
  }
}

/** Makes a listener of Node's http or https server from a function from request to outcome. */
export function listener(origin: () => string, answer: (incoming: Incoming) => Promise<Outcome>) {
  async function serve(request: IncomingMessage): Promise<Outcome> {
    try {
      return await answer({
        method: request.method ?? "GET",
        url: new URL(request.url ?? "/", origin()),
        authorization: request.headers.authorization,
        identityHeader: headerOf(request, "x-identity-header"),
        body: await readBody(request),
      })
    } catch (error) {
      return problemReply(error)
    }
  }

  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const outcome = await serve(request)
    if (outcome === "dropped") {
      request.socket.destroy()
      return
    }
    const clientRequestId = headerOf(request, "x-ms-client-request-id")
    response.writeHead(outcome.status, {
      "cache-control": "no-cache",
      "x-ms-request-id": randomUUID(),
      ...(clientRequestId === undefined ? {} : { "x-ms-client-request-id": clientRequestId }),
      ...outcome.headers,
    })
    response.end(outcome.body)
  }
}
