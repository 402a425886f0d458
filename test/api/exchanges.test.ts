import { once } from "node:events"
import { type AddressInfo, createServer, type Socket } from "node:net"
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest"
import { createExchanges } from "../../api/exchanges.ts"
import { type Api, FLEET, startWorld, type TestTenant, type World } from "./world.ts"

/** A server that takes connections and says nothing. */
async function startSilence() {
  const sockets: { socket: Socket; at: number }[] = []
  const server = createServer((socket) => {
    socket.on("error", () => {})
    sockets.push({ socket, at: performance.now() })
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  return {
    port: (server.address() as AddressInfo).port,
    came: () => sockets.map(({ at }) => at),
    close() {
      for (const { socket } of sockets) socket.destroy()
      server.close()
    },
  }
}

let world: World
let tenants: TestTenant[]
let silence: Awaited<ReturnType<typeof startSilence>>
let api: Api

beforeAll(async () => {
  world = await startWorld()
  tenants = []
  for (let n = 0; n < 12; n++) tenants.push(await world.addTenant(`t${n}`))
}, 60_000)
beforeEach(async () => {
  silence = await startSilence()
})
afterEach(async () => {
  silence.close()
  await api.close()
})
afterAll(() => world?.close())

const list = (tenant: TestTenant) => api.call(tenant, "GET", "/products?limit=1")
const statuses = async (some: TestTenant[]) => (await Promise.all(some.map(list))).map(({ status }) => status)

/** Moves the tenant to the server that says nothing. */
function silenced(tenant: TestTenant): void {
  const uri = new URL(tenant.uri)
  uri.port = String(silence.port)
  world.vault.set(tenant.id, { state: "active", uri: uri.href, fleet: FLEET })
}

test("three sessions at a server are exchanged at once, and those who have one keep it", async () => {
  api = await world.serve({ pools: { budget: 6, maxConnections: 1, connectTimeout: 2000 }, patience: 0 })
  const [served, others] = [tenants.slice(0, 6), tenants.slice(6)]
  expect(await statuses(served)).toEqual(served.map(() => 200))
  others.forEach(silenced)
  const hanging = others.map(list)
  await expect.poll(() => silence.came().length).toBe(3)
  // Three have made room, at the most; and who has made room gets a place again, for the other server is free.
  expect(api.pools.counts().evictions).toBe(3)
  expect(await statuses(served)).toEqual(served.map(() => 200))
  // Those that take long are not waited for.
  await expect.poll(() => silence.came().length, { timeout: 5000 }).toBeGreaterThan(3)
  const [first, , , fourth] = silence.came()
  expect(fourth! - first!).toBeGreaterThan(400)
  expect((await Promise.all(hanging)).map(({ status }) => status)).toEqual(others.map(() => 503))
})

test("an exchange that is ended twice ends once", () => {
  const exchanges = createExchanges(() => {})
  const [first] = [1, 2, 3].map(() => exchanges.begin("a"))
  expect([exchanges.mayBegin("a"), exchanges.mayBegin("b")]).toEqual([false, true])
  first!.end()
  first!.end()
  expect(exchanges.mayBegin("a")).toBe(true)
  exchanges.begin("a")
  expect(exchanges.mayBegin("a")).toBe(false)
})
