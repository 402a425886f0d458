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
  type Branch = { name: string; world: Promise<NeonWorld> }
  const main = await start("br-main")
  const branches = new Map<string, Branch>([["br-main", { name: "main", world: Promise.resolve(main) }]])
  /** What an operation waits for, and whether that has come. */
  const operations = new Map<string, { isDone: boolean }>()

  const present = ([id, { name }]: [string, Branch]) => ({ id, project_id: PROJECT, name })
  const newOperation = (end: Promise<unknown>) => {
    const id = randomUUID()
    const operation = { isDone: false }
    operations.set(id, operation)
    void end.then(() => (operation.isDone = true))
    return { id, status: "scheduling" }
  }

  /** What the stand-ins do not speak of; undefined: one of them is to answer. */
  function answer(
    method: string,
    target: string,
    body: string,
  ): { status: number; body: unknown } | undefined {
    const [, id = ""] = /^\/operations\/([^/]+)$/.exec(target) ?? []
    const operation = operations.get(id)
    if (operation)
      return {
        status: 200,
        body: { operation: { id, status: operation.isDone ? "finished" : "running" } },
      }
    if (target.startsWith("/branches?") && method === "GET")
      return { status: 200, body: { branches: [...branches].map(present) } }
    if (target === "/branches" && method === "POST") {
      const { name } = (JSON.parse(body) as { branch: { name: string } }).branch
      const branchId = `br-${randomBytes(4).toString("hex")}`
      const branch = { name, world: start(branchId) }
      branches.set(branchId, branch)
      return {
        status: 201,
        body: { branch: present([branchId, branch]), operations: [newOperation(branch.world)] },
      }
    }
    const [, doomed] = /^\/branches\/([^/]+)$/.exec(target) ?? []
    const branch = branches.get(doomed ?? "")
    if (doomed === undefined || branch === undefined || method !== "DELETE") return undefined
    branches.delete(doomed)
    const end = branch.world.then((world) => world.stop())
    return { status: 200, body: { branch: present([doomed, branch]), operations: [newOperation(end)] } }
  }

  /** What the stand-in of the branch answers, where the call names one; else the first that knows what is asked for. */
  async function forward(method: string, url: string, key: string, body: string) {
    const named = /\/branches\/([^/?]+)/.exec(url)?.[1] ?? /[?&]branch_id=([^&]+)/.exec(url)?.[1] ?? ""
    const candidates = branches.has(named) ? [branches.get(named)!] : [...branches.values()]
    let found = { status: 404, content: "" }
    for (const { world } of candidates) {
      const { neon } = await world
      const call = { method, headers: { authorization: key }, ...(body === "" ? {} : { body }) }
      const response = await fetch(neon.url.replace("/api/v2", url), call)
      found = { status: response.status, content: await response.text() }
      if (found.status !== 404) break
    }
    return found
  }

  let isLost = false
  const server = createServer(async (request, response) => {
    const { method = "", url = "" } = request
    const key = request.headers.authorization ?? ""
    const body = await text(request)
    const target = url.replace(`/api/v2/projects/${PROJECT}`, "")
    const own = key === `Bearer ${API_KEY}` ? answer(method, target, body) : undefined
    if (own?.status === 201 && isLost) {
      isLost = false
      response.destroy()
      return
    }
    const { status, content } = own
      ? { status: own.status, content: JSON.stringify(own.body) }
      : await forward(method, url, key, body)
    response.writeHead(status, { "content-type": "application/json" }).end(content)
  })
  // Longer than a start of Postgres, during which nothing here is answered.
  server.keepAliveTimeout = 65_000
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  return {
    environment: {
      NEON_API_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/v2`,
      NEON_API_KEY: API_KEY,
      NEON_PROJECT_ID: PROJECT,
      NEON_DATABASE_OWNER: main.neon.owner,
    },
    /** The next branch is made, and the connection cut before the answer. */
    loseNextBranch: () => {
      isLost = true
    },
    branches: () => [...branches.keys()],
    close: async () => {
      server.closeAllConnections()
      server.close()
      for (const { world } of branches.values()) await (await world).stop()
    },
  }
}
