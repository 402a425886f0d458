import { once } from "node:events"
import { type AddressInfo, createServer } from "node:net"
import { setImmediate as turn } from "node:timers/promises"
import { afterAll, afterEach, beforeAll, expect, test } from "vitest"
import { loginRole } from "../../reconciler/tenant.ts"
import { type Api, FLEET, startWorld, type TestTenant, type World } from "./world.ts"

let world: World
let tenants: TestTenant[]
let serving: Api[] = []

const serve = async (...options: Parameters<World["serve"]>) => {
  const api = await world.serve(...options)
  serving.push(api)
  return api
}

beforeAll(async () => {
  world = await startWorld()
  tenants = []
  for (let n = 0; n < 12; n++) tenants.push(await world.addTenant(`t${n}`))
}, 60_000)
afterEach(async () => {
  await Promise.all(serving.map((api) => api.close()))
  serving = []
  await expect.poll(() => sessions()).toBe(0)
})
afterAll(() => world?.close())

/** Sessions of tenants' roles, as the server counts them. */
const sessions = async (condition = "true") =>
  (
    await world.admin.query<{ n: number }>(
      `select count(*)::int as n from pg_stat_activity where usename like 'tenant\\_%' and ${condition}`,
    )
  ).rows[0]!.n

/** The most sessions that were ever seen while `work` ran. */
async function peakDuring(work: Promise<unknown>): Promise<number> {
  let peak = 0
  const over = new AbortController()
  void work.finally(() => over.abort()).catch(() => {})
  while (!over.signal.aborted) {
    peak = Math.max(peak, await sessions())
    await turn()
  }
  await work
  return peak
}

const list = (api: Api, tenant: TestTenant) => api.call(tenant, "GET", "/products?limit=1")

test("all tenants together never have more sessions than the budget, while connections are replaced", async () => {
  const api = await serve({ pools: { budget: 3, maxConnections: 2, wait: 30_000 } })
  const kill = () =>
    world.sql(
      "postgres",
      "select pg_terminate_backend(pid) from pg_stat_activity where usename like 'tenant\\_%' order by random() limit 1",
    )
  const work = Promise.all(
    Array.from({ length: 240 }, async (_, n) => {
      const answer = await list(api, tenants[(n * 5) % tenants.length]!)
      if (n % 8 === 0) await kill()
      return answer
    }),
  )
  const peak = await peakDuring(work)
  expect((await work).map(({ status }) => status)).toEqual(Array.from({ length: 240 }, () => 200))
  expect(peak).toBeGreaterThan(0)
  expect(peak).toBeLessThanOrEqual(3)
  expect(api.pools.counts().evictions).toBeGreaterThan(0)
})

test("with a budget for all, the same load is seen to use more: it is the budget that holds", async () => {
  const api = await serve({ pools: { budget: 40, maxConnections: 2 } })
  const work = Promise.all(
    Array.from({ length: 240 }, (_, n) => list(api, tenants[(n * 5) % tenants.length]!)),
  )
  expect(await peakDuring(work)).toBeGreaterThan(3)
})

test("a scan over many tenants does not throw out the one that is used often", async () => {
  const api = await serve({ pools: { budget: 3, maxConnections: 1 } })
  const [hot, ...others] = tenants
  for (let n = 0; n < 30; n++) await list(api, hot!)
  const pid = () =>
    world.admin
      .query<{ pid: number }>(`select pid from pg_stat_activity where datname = '${hot!.database}'`)
      .then(({ rows }) => rows.map((row) => row.pid))
  const before = await pid()
  for (const other of [...others, ...others]) expect((await list(api, other)).status).toBe(200)
  expect(await pid()).toEqual(before)
  expect(before).toHaveLength(1)
})

test("a tenant without a connection gets its turn while others keep theirs busy", async () => {
  const api = await serve({ pools: { budget: 2, maxConnections: 1, wait: 30_000 } })
  const [a, b, c] = tenants
  const over = new AbortController()
  const busy = [a!, b!].flatMap((tenant) =>
    [1, 2, 3].map(async () => {
      while (!over.signal.aborted) expect((await list(api, tenant)).status).toBe(200)
    }),
  )
  await expect.poll(() => api.pools.counts().places).toBe(2)
  for (let n = 0; n < 5; n++) expect((await list(api, c!)).status).toBe(200)
  over.abort()
  await Promise.all(busy)
})

test("a place that a slow reader keeps from a waiting tenant is left to it by an idle connection", async () => {
  const api = await serve({ pools: { budget: 2, maxConnections: 1, wait: 30_000 } })
  const [a, b, c] = tenants
  const [slow, other] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const [ofA, ofB] = [await api.databases.open(a!.id), await api.databases.open(b!.id)]
  const reading = ofA.read(() => slow.promise)
  const holding = ofB.read(() => other.promise)
  await expect.poll(() => api.pools.counts().places).toBe(2)
  const answer = list(api, c!)
  await expect.poll(() => api.pools.counts().waiting).toBe(1)
  // After its turn the shared connection is to be closed when its last reader has gone, and one stays.
  await expect.poll(() => ofA.read(async () => {}).then(() => api.pools.counts().evictions)).toBe(1)
  other.resolve()
  await holding
  expect((await answer).status).toBe(200)
  slow.resolve()
  await reading
})

test("who has waited too long for a place gets 503 and Retry-After", async () => {
  const api = await serve({ pools: { budget: 1, wait: 50 } })
  const [a, b] = tenants
  const held = Promise.withResolvers<void>()
  const holding = (await api.databases.open(a!.id)).read(() => held.promise)
  await expect.poll(() => sessions()).toBe(1)
  const answer = await list(api, b!)
  expect(answer).toMatchObject({ status: 503, body: { type: "/problems/database-busy" } })
  expect(answer.headers.get("retry-after")).toBe("1")
  expect(api.pools.counts().waiting).toBe(0)
  held.resolve()
  await holding
  // To end one session and begin another takes longer than the wait at times.
  await expect.poll(async () => (await list(api, b!)).status).toBe(200)
})

test("those who only read share a connection, and who writes has one alone", async () => {
  const tenant = tenants[3]!
  const api = await serve()
  const held = Promise.withResolvers<void>()
  const database = await api.databases.open(tenant.id)
  const reading = Array.from({ length: 6 }, () => database.read(() => held.promise))
  await expect.poll(() => api.pools.counts()).toMatchObject({ places: 1, idle: 0 })
  expect((await list(api, tenant)).status).toBe(200)
  expect(await sessions(`datname = '${tenant.database}'`)).toBe(1)
  expect((await api.call(tenant, "POST", "/products", { name: "alone", price: 1 })).status).toBe(201)
  expect(await sessions(`datname = '${tenant.database}'`)).toBe(2)
  held.resolve()
  await Promise.all(reading)
})

test("a statement that takes long does not hold up who has come to the same connection after it", async () => {
  const tenant = tenants[4]!
  const api = await serve({ pools: { maxConnections: 2 } })
  expect((await list(api, tenant)).status).toBe(200)
  const blocker = await world.hold(tenant.database, "lock table products in access exclusive mode")
  const stuck = list(api, tenant)
  const others = [1, 2, 3].map(() => api.call(tenant, "GET", "/users"))
  expect((await Promise.all(others)).map(({ status }) => status)).toEqual([200, 200, 200])
  expect(await world.waiters(tenant.database)).toBe(1)
  await blocker.release()
  expect((await stuck).status).toBe(200)
})

test("with one connection they are held up, and served when the long statement is over", async () => {
  const tenant = tenants[5]!
  const api = await serve({ pools: { maxConnections: 1 } })
  expect((await list(api, tenant)).status).toBe(200)
  const blocker = await world.hold(tenant.database, "lock table products in access exclusive mode")
  const stuck = list(api, tenant)
  let isServed = false
  const other = api.call(tenant, "GET", "/users").finally(() => (isServed = true))
  await expect.poll(() => world.waiters(tenant.database)).toBe(1)
  await expect.poll(() => api.pools.counts().waiting).toBe(1)
  expect(isServed).toBe(false)
  await blocker.release()
  expect((await stuck).status).toBe(200)
  expect((await other).status).toBe(200)
})

test("a client that goes away stops its statement, and nobody else's", async () => {
  const tenant = tenants[0]!
  const api = await serve({ pools: { maxConnections: 1 } })
  const blocker = await world.hold(tenant.database, "lock table products in access exclusive mode")
  const gone = new AbortController()
  const left = fetch(`${api.url}/products`, { headers: { "X-TenantId": tenant.id }, signal: gone.signal })
  await expect.poll(() => world.waiters(tenant.database)).toBe(1)
  const pid = () =>
    world.admin
      .query<{ pid: number }>(
        `select pid from pg_stat_activity where datname = '${tenant.database}' and wait_event_type = 'Lock'`,
      )
      .then(({ rows }) => rows[0]?.pid)
  const before = await pid()
  const stays = list(api, tenant)
  gone.abort()
  await expect(left).rejects.toThrow("abort")
  // The first statement is stopped although the lock is still held; then the second one waits, on another connection.
  await expect.poll(async () => ![undefined, before].includes(await pid())).toBe(true)
  await blocker.release()
  expect((await stays).status).toBe(200)
})

test("a client that goes away while it waits leaves the queue, and what it wanted is not done", async () => {
  const tenant = tenants[1]!
  const api = await serve({ pools: { maxConnections: 1 } })
  const held = Promise.withResolvers<void>()
  const holding = (await api.databases.open(tenant.id)).read(() => held.promise)
  await expect.poll(() => sessions(`datname = '${tenant.database}'`)).toBe(1)
  const gone = new AbortController()
  const left = fetch(`${api.url}/products`, {
    method: "POST",
    headers: { "X-TenantId": tenant.id, "Content-Type": "application/json" },
    body: JSON.stringify({ name: "unwanted", price: 1 }),
    signal: gone.signal,
  })
  await expect.poll(() => api.pools.counts().waiting).toBe(1)
  gone.abort()
  await expect(left).rejects.toThrow("abort")
  await expect.poll(() => api.pools.counts().waiting).toBe(0)
  held.resolve()
  await holding
  expect(await world.sql(tenant.database, "select from products where name = 'unwanted'")).toEqual([])
})

test("clients that come and go in their hundreds leave no place taken and no tenant remembered", async () => {
  const api = await serve({ pools: { budget: 3, maxConnections: 2, idleTimeout: 20 } })
  await Promise.all(
    Array.from({ length: 300 }, async (_, n) => {
      const gone = new AbortController()
      const request = fetch(`${api.url}/products`, {
        headers: { "X-TenantId": tenants[n % tenants.length]!.id },
        signal: gone.signal,
      })
      for (let turns = 0; turns < n % 40; turns++) await turn()
      gone.abort()
      await request.then((response) => response.text()).catch(() => {})
    }),
  )
  await expect
    .poll(() => api.pools.counts(), { timeout: 20_000 })
    .toMatchObject({ places: 0, waiting: 0, tenants: 0 })
  expect((await list(api, tenants[0]!)).status).toBe(200)
})

test("a role that may not log in takes no place for good", async () => {
  const tenant = tenants[2]!
  const role = loginRole(tenant.id, "a")
  const api = await serve({ pools: { budget: 1 }, patience: 100 })
  await world.admin.query(`alter role "${role}" nologin`)
  expect((await list(api, tenant)).status).toBe(503)
  await world.admin.query(`alter role "${role}" login`)
  await expect.poll(() => api.pools.counts().places).toBe(0)
  expect((await list(api, tenant)).status).toBe(200)
})

test("a place stays taken after connecting took too long, until the server has noticed", async () => {
  let [come, left] = [0, 0]
  const silent = createServer((socket) => {
    come++
    socket.on("close", () => left++).resume()
  }).listen(0, "127.0.0.1")
  await once(silent, "listening")
  const uri = new URL(tenants[0]!.uri)
  uri.port = String((silent.address() as AddressInfo).port)
  const api = await serve({
    readVault: () => Promise.resolve({ state: "active", uri: uri.href, fleet: FLEET }),
    pools: { connectTimeout: 100 },
    patience: 100,
  })
  expect((await list(api, tenants[0]!)).status).toBe(503)
  await expect.poll(() => come > 0 && left === come).toBe(true)
  expect(api.pools.counts().places).toBe(come)
  await expect.poll(() => api.pools.counts().places, { timeout: 20_000 }).toBe(0)
  silent.close()
})
