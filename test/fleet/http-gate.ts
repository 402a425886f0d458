/** The gate's way to Neon and to the vault: HTTP calls that are read whole, delivered, and answered. */
import { readFileSync } from "node:fs"
import * as http from "node:http"
import * as https from "node:https"
import { once } from "node:events"
import type { AddressInfo, Socket } from "node:net"
import path from "node:path"
import type { Post, Write } from "./gate.ts"
import type { Systems } from "./systems.ts"

type Answer = { status: number; headers: http.IncomingHttpHeaders; body: Buffer }

/** Opens one front for each; `sqlPort` is where the owner's connection strings shall lead. */
export async function openHttpGate(
  post: Post,
  { neon, vault, vaultFolder, postgres }: Systems,
  sqlPort: number,
) {
  const cert = readFileSync(path.join(vaultFolder, "certificate.pem"))
  const key = readFileSync(path.join(vaultFolder, "certificate.key"))
  const neonFront = await openFront(post, {
    system: "neon",
    server: http.createServer(),
    upstream: new URL(neon.url),
    // Only the direct host is the reconciler's; the tenants' sessions take the pooled one.
    edit: (text, url) =>
      url.includes("/connection_uri?") && !url.includes("pooled=true")
        ? text.replace(`:${postgres.port}/`, `:${sqlPort}/`)
        : text,
  })
  const vaultFront = await openFront(post, {
    system: "vault",
    server: https.createServer({ cert, key }),
    upstream: new URL(vault.url),
    // The vault names its own address in the links to the next page.
    edit: (text) => text.replaceAll(vault.url, `https://localhost:${vaultFront.port}`),
  })
  return {
    neon: { ...neonFront, url: `http://127.0.0.1:${neonFront.port}/api/v2` },
    vault: { ...vaultFront, url: `https://localhost:${vaultFront.port}` },
  }
}

type Front = {
  system: Write["system"]
  server: http.Server | https.Server
  upstream: URL
  edit: (text: string, url: string) => string
}

async function openFront(post: Post, { system, server, upstream, edit }: Front) {
  const agent = upstream.protocol === "https:" ? new https.Agent({ keepAlive: true }) : new http.Agent()
  const sockets = new Set<Socket>()
  const underWay = new Set<Promise<unknown>>()
  server.on("connection", (socket: Socket) => {
    sockets.add(socket)
    socket.on("error", () => {}).on("close", () => sockets.delete(socket))
  })
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  post.onShut(cut)

  async function pass(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const body = await readAll(request)
    const write = isWrite(request) ? post.arrive(system, describe(request)) : undefined
    if (write === "cut" || post.isShut()) return void request.destroy()
    const answer = await deliver(request, body, upstream, agent)
    if (write?.answered() === "cut" || post.isShut()) return void request.destroy()
    const text = edit(answer.body.toString(), request.url!)
    const { "transfer-encoding": _, connection: __, ...headers } = answer.headers
    response.writeHead(answer.status, {
      ...headers,
      ...(answer.status === 204 ? {} : { "content-length": Buffer.byteLength(text) }),
    })
    response.end(text)
  }
  server.on("request", (request: http.IncomingMessage, response: http.ServerResponse) => {
    const passage = pass(request, response)
      // What the system does with a connection, the reconciler sees too.
      .catch(() => request.destroy())
      .finally(() => underWay.delete(passage))
    underWay.add(passage)
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      cut()
      server.close()
      // The system acts on what was delivered, also when nobody waits for the answer.
      await Promise.all(underWay)
      agent.destroy()
    },
  }
}

/** The vault's client learns by a call without a token whom to ask for one; that call is no write. */
const isWrite = ({ method, headers }: http.IncomingMessage) =>
  method !== "GET" && headers.authorization !== undefined

const describe = ({ method, url }: http.IncomingMessage) =>
  `${method} ${decodeURIComponent(new URL(url!, "http://gate").pathname)}`

async function readAll(stream: http.IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function deliver(
  { method, url, headers }: http.IncomingMessage,
  body: Buffer,
  upstream: URL,
  agent: http.Agent,
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const { request } = upstream.protocol === "https:" ? https : http
  const { host: _, connection: __, ...kept } = headers
  const call = request(new URL(url!, upstream), { method, headers: kept, agent, timeout: 60_000 })
  call.on("error", reject)
  call.on("timeout", () => call.destroy(new Error(`${upstream.origin} does not answer`)))
  call.on("response", (answer) => {
    readAll(answer).then(
      (content) => resolve({ status: answer.statusCode!, headers: answer.headers, body: content }),
      reject,
    )
  })
  call.end(body)
  return promise
}
