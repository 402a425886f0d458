/** A Neon project in which branches can be made: each is a stand-in of its own, behind one address. */
import { randomBytes, randomUUID } from "node:crypto"
import { once } from "node:events"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { text } from "node:stream/consumers"
import { API_KEY, startWorld, type NeonWorld } from "../local/neon-world.ts"

const PROJECT = "live-project"

/** Answers as Neon does where only one branch is asked about, and makes, lists and deletes branches. */
export async function startProject() {
  const start = (branchId: string) => startWorld({ projectId: PROJECT, branchId, operationMs: 0 })
  const worlds = new Map<string, NeonWorld>([["br-main", await start("br-main")]])
  const { owner } = worlds.get("br-main")!.neon
  /** Looks left until an operation has finished. */
  const operations = new Map<string, number>()

  const present = (id: string) => ({ id, project_id: PROJECT, name: id })
  const newOperation = () => {
    const id = randomUUID()
    operations.set(id, 2)
    return { id, status: "scheduling" }
  }

  /** What the stand-ins do not speak of; undefined: one of them is to answer. */
  async function answer(
    method: string,
    target: string,
  ): Promise<{ status: number; body: unknown } | undefined> {
    const [, operation] = /^\/operations\/([^/]+)$/.exec(target) ?? []
    const looks = operation === undefined ? undefined : operations.get(operation)
    if (looks !== undefined) {
      operations.set(operation!, looks - 1)
      return {
        status: 200,
        body: { operation: { id: operation, status: looks > 0 ? "running" : "finished" } },
      }
    }
    if (target.startsWith("/branches?") && method === "GET")
      return { status: 200, body: { branches: [...worlds.keys()].map(present) } }
    if (target === "/branches" && method === "POST") {
      const id = `br-${randomBytes(4).toString("hex")}`
      worlds.set(id, await start(id))
      return { status: 201, body: { branch: present(id), operations: [newOperation()] } }
    }
    const [, doomed] = /^\/branches\/([^/]+)$/.exec(target) ?? []
    if (doomed === undefined || method !== "DELETE") return undefined
    const world = worlds.get(doomed)
    worlds.delete(doomed)
    await world?.stop()
    return { status: world ? 200 : 404, body: { branch: present(doomed), operations: [newOperation()] } }
  }

  /** What the stand-in of the branch answers, where the call names one; else the first that knows what is asked for. */
  async function forward(method: string, url: string, key: string, body: string) {
    const named = /\/branches\/([^/?]+)/.exec(url)?.[1] ?? /[?&]branch_id=([^&]+)/.exec(url)?.[1] ?? ""
    const candidates = worlds.has(named) ? [worlds.get(named)!] : [...worlds.values()]
    let found = { status: 404, content: "" }
    for (const { neon } of candidates) {
      const call = { method, headers: { authorization: key }, ...(body === "" ? {} : { body }) }
      const response = await fetch(neon.url.replace("/api/v2", url), call)
      found = { status: response.status, content: await response.text() }
      if (found.status !== 404) break
    }
    return found
  }

  const server = createServer(async (request, response) => {
    const { method = "", url = "" } = request
    const key = request.headers.authorization ?? ""
    const body = await text(request)
    const target = url.replace(`/api/v2/projects/${PROJECT}`, "")
    const own = key === `Bearer ${API_KEY}` ? await answer(method, target) : undefined
    const { status, content } = own
      ? { status: own.status, content: JSON.stringify(own.body) }
      : await forward(method, url, key, body)
    response.writeHead(status, { "content-type": "application/json" }).end(content)
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  return {
    environment: {
      NEON_API_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/v2`,
      NEON_API_KEY: API_KEY,
      NEON_PROJECT_ID: PROJECT,
      NEON_DATABASE_OWNER: owner,
    },
    branches: () => [...worlds.keys()],
    close: async () => {
      server.closeAllConnections()
      server.close()
      for (const world of worlds.values()) await world.stop()
    },
  }
}
