import { once } from "node:events"
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { type AddressInfo, createServer } from "node:net"
import { tmpdir } from "node:os"
import path from "node:path"
import { afterAll, beforeAll, expect, test } from "vitest"
import type { NamedTenant } from "../../api/directory.ts"
import { createHeadStarts } from "../../api/head-start.ts"
import type { Places } from "../../api/places.ts"
import { TerminalError, TransientError } from "../../reconciler/errors.ts"
import type { Credential, CredentialReader } from "../../reconciler/providers/vault.ts"
import { loginRole, type TenantId } from "../../reconciler/tenant.ts"
import { startProxy } from "./proxy.ts"
import { type Answer, type Api, FLEET, startWorld, type TestTenant, type World } from "./world.ts"

let world: World
let shop: TestTenant
let rival: TestTenant

beforeAll(async () => {
  world = await startWorld()
  shop = await world.addTenant("head-shop", { seed: true })
  rival = await world.addTenant("head-rival", { seed: true })
}, 60_000)
afterAll(() => world?.close())

/** What the list of tenants says of one. */
const listed = (tenant: TestTenant, where: Partial<NamedTenant["where"]> = {}): NamedTenant => ({
  id: tenant.id,
  name: tenant.database.replace("products-", ""),
  state: "active",
  schema: "1",
  isSettled: true,
  where: { cell: "main", database: tenant.database, login: loginRole(tenant.id, "a"), ...where },
})

/** What was sent on one connection, a text per message or several. */
type Sent = string[]
/** A password's message, whatever the method of authentication. */
const isPassword = (chunk: string) => chunk.startsWith("p")

/**
 * The API before a Postgres that is listened to. The rival's secret is read, so the cell's server is known; the shop's is
 * answered when a test says so.
 */
async function startAfter(
  tenants: NamedTenant[],
  { budget = 40, headStartLife = 60_000, others = [] as TestTenant[], isAwayFirst = false } = {},
) {
  const connections: Sent[] = []
  const proxy = await startProxy(Number(new URL(shop.uri).port), (chunk, connection) => {
    ;(connections[connection] ??= []).push(chunk.toString("latin1"))
  })
  const answer = Promise.withResolvers<Credential | undefined>()
  const asked = Promise.withResolvers<number>()
  const through = (tenant: TestTenant): Credential => {
    const uri = new URL(tenant.uri)
    uri.port = String(proxy.port)
    return { state: "active", uri: uri.href, fleet: FLEET }
  }
  const readVault: CredentialReader = (id: TenantId) => {
    if (id === rival.id) return Promise.resolve(through(rival))
    const other = others.find((tenant) => tenant.id === id)
    if (other) return Promise.resolve({ state: "active", uri: other.uri, fleet: FLEET })
    asked.resolve(api.pools.counts().places)
    const isAway = isAwayFirst
    isAwayFirst = false
    return isAway
      ? Promise.reject(new TransientError("VaultUnavailable", "the vault is away"))
      : answer.promise
  }
  const api: Api = await world.serve({
    readVault,
    listTenants: () => Promise.resolve(tenants),
    pools: { budget },
    headStartLife,
    patience: 1000,
  })
  await api.directory.list()
  expect((await api.call(rival, "GET", "/products/1")).status).toBe(200)
  return {
    api,
    answer,
    through,
    places: () => api.pools.counts().places,
    /** How many places were taken when the shop's secret was asked for. */
    placesThen: () => asked.promise,
    /** What was sent on the connections to this database. */
    sentTo: ({ database }: TestTenant): Sent[] =>
      connections.filter(([hello = ""]) => hello.includes(`\0${database}\0`)),
    stopListening: () => proxy.close(),
    farewells: proxy.farewells,
    hideFarewells: proxy.hideFarewells,
    close: async () => {
      await api.close()
      proxy.close()
    },
  }
}

/** Until the server waits for the password of a session. */
const untilAsked = () =>
  expect
    .poll(() =>
      world.sql(
        "postgres",
        "select from pg_stat_activity where state = 'starting' and wait_event = 'ClientRead'",
      ),
    )
    .toHaveLength(1)

/** The shop's session has ended and left its place; the secret comes, and another one serves. */
async function expectAnother(
  { answer, through, sentTo, places }: Awaited<ReturnType<typeof startAfter>>,
  response: Promise<Answer>,
): Promise<void> {
  await expect.poll(places).toBe(1)
  answer.resolve(through(shop))
  expect((await response).status).toBe(200)
  expect(sentTo(shop)).toHaveLength(2)
  expect(places()).toBe(2)
}

test("a session begins while its secret is read, gets its password after it, and is the one that is used", async () => {
  const { api, answer, through, sentTo, places, close } = await startAfter([listed(shop), listed(rival)])
  const response = api.call(shop, "GET", "/products/1")
  await untilAsked()
  expect(sentTo(shop)).toHaveLength(1)
  expect(sentTo(shop)[0]!.some(isPassword)).toBe(false)
  answer.resolve(through(shop))
  expect(await response).toMatchObject({ status: 200, body: { id: 1 } })
  expect(sentTo(shop)).toHaveLength(1)
  expect(sentTo(shop)[0]!.some(isPassword)).toBe(true)
  expect(places()).toBe(2)
  await close()
})

test("a session that began at another place than the secret names gets no password, and ends", async () => {
  const where = { database: rival.database, login: loginRole(rival.id, "a") }
  const { api, answer, through, sentTo, places, close } = await startAfter([
    listed(shop, where),
    listed(rival),
  ])
  const response = api.call(shop, "GET", "/products")
  await untilAsked()
  answer.resolve(through(shop))
  expect((await response).status).toBe(200)
  expect(sentTo(shop)).toHaveLength(1)
  await expect.poll(places).toBe(2)
  expect(sentTo(rival)[1]!.some(isPassword)).toBe(false)
  await close()
})

test("no session begins for who is not known to be served, nor where the server is not known", async () => {
  for (const tenants of [
    [listed(rival)],
    [listed(rival), { ...listed(shop), state: "suspended" }],
    [listed(rival), listed(shop, { cell: "another" })],
  ]) {
    const { api, answer, through, placesThen, sentTo, close } = await startAfter(tenants)
    const response = api.call(shop, "GET", "/products/1")
    expect(await placesThen()).toBe(1)
    answer.resolve(through(shop))
    expect((await response).status).toBe(200)
    expect(sentTo(shop)).toHaveLength(1)
    await close()
  }
})

test("no session begins where no place is free", async () => {
  for (const [budget, then] of [
    [1, 1],
    [2, 2],
  ] as const) {
    const { api, answer, through, placesThen, close } = await startAfter([listed(shop), listed(rival)], {
      budget,
    })
    const response = api.call(shop, "GET", "/products/1")
    expect(await placesThen()).toBe(then)
    answer.resolve(through(shop))
    expect((await response).status).toBe(200)
    await close()
  }
})

test("a session for a tenant that is not served after all, or whose secret cannot be read, leaves its place", async () => {
  for (const [said, status] of [
    [{ state: "suspended" }, 403],
    [{ state: "retired" }, 410],
    [undefined, 404],
    [new TerminalError("VaultForbidden", "the vault refuses"), 503],
  ] as const) {
    const { api, answer, sentTo, places, placesThen, close } = await startAfter([listed(shop), listed(rival)])
    const response = api.call(shop, "GET", "/products/1")
    expect(await placesThen()).toBe(2)
    await untilAsked()
    if (said instanceof Error) answer.reject(said)
    else answer.resolve(said)
    expect((await response).status).toBe(status)
    await expect.poll(places).toBe(1)
    expect(sentTo(shop)[0]!.some(isPassword)).toBe(false)
    await close()
  }
})

test("a session whose secret takes too long leaves its place, and the request has another one", async () => {
  const { api, answer, through, sentTo, places, placesThen, close } = await startAfter(
    [listed(shop), listed(rival)],
    { headStartLife: 200 },
  )
  const response = api.call(shop, "GET", "/products/1")
  expect(await placesThen()).toBe(2)
  await expect.poll(places, { timeout: 10_000 }).toBe(1)
  answer.resolve(through(shop))
  expect((await response).status).toBe(200)
  expect(sentTo(shop)).toHaveLength(2)
  await close()
})

test("a session that is still ending when its secret comes gets no password", async () => {
  const { api, answer, through, sentTo, places, farewells, hideFarewells, close } = await startAfter(
    [listed(shop), listed(rival)],
    { headStartLife: 200 },
  )
  hideFarewells()
  const response = api.call(shop, "GET", "/products/1")
  await expect.poll(farewells).toBe(1)
  answer.resolve(through(shop))
  expect((await response).status).toBe(200)
  expect(sentTo(shop)).toHaveLength(2)
  expect(sentTo(shop)[0]!.some(isPassword)).toBe(false)
  await expect.poll(places, { timeout: 20_000 }).toBe(2)
  await close()
})

test("who comes after the vault was away has the session that began before it came back", async () => {
  const { api, answer, through, sentTo, places, close } = await startAfter([listed(shop), listed(rival)], {
    isAwayFirst: true,
  })
  expect((await api.call(shop, "GET", "/products/1")).status).toBe(503)
  await untilAsked()
  expect(places()).toBe(2)
  answer.resolve(through(shop))
  expect((await api.call(shop, "GET", "/products/1")).status).toBe(200)
  expect(sentTo(shop)).toHaveLength(1)
  await close()
})

test("a tenant whose own session ends slowly waits no longer than who has none", async () => {
  const where = { database: rival.database, login: loginRole(rival.id, "a") }
  const { api, answer, through, hideFarewells, farewells, places, close } = await startAfter(
    [listed(shop, where), listed(rival)],
    { budget: 2 },
  )
  const response = api.call(shop, "GET", "/products/1")
  await untilAsked()
  hideFarewells()
  const evicted = api.pools.counts().evictions
  answer.resolve(through(shop))
  await expect.poll(farewells).toBeGreaterThan(0)
  expect((await response).status).toBe(200)
  // The rival's idle connection made room: the session that ends slowly still has its place.
  expect(api.pools.counts().evictions).toBe(evicted + 1)
  expect(places()).toBe(2)
  await close()
})

test("a process that ends does not wait for a session's secret", async () => {
  const { api, answer, through, sentTo, places, close } = await startAfter([listed(shop), listed(rival)])
  const response = api.call(shop, "GET", "/products/1")
  await untilAsked()
  await api.pools.close()
  expect(places()).toBe(0)
  answer.resolve(through(shop))
  expect((await response).status).toBe(503)
  expect(sentTo(shop)[0]!.some(isPassword)).toBe(false)
  await close()
})

test("a session that cannot even be set up leaves its place", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "tenantry-head-"))
  const certificate = path.join(folder, "root.pem")
  await writeFile(certificate, "")
  const odd = await world.addTenant("head-certificate", { seed: true })
  const { api, answer, sentTo, places, close } = await startAfter(
    [listed(shop), listed(rival), listed(odd)],
    {
      others: [{ ...odd, uri: `${odd.uri}?sslrootcert=${certificate}&sslmode=disable` }],
    },
  )
  expect((await api.call(odd, "GET", "/products/1")).status).toBe(200)
  await rm(folder, { recursive: true })
  const response = api.call(shop, "GET", "/products/1")
  answer.resolve({ state: "suspended" })
  expect((await response).status).toBe(403)
  expect(sentTo(shop)).toHaveLength(0)
  expect(places()).toBe(2)
  await close()
})

test("a session that ends before its secret is read leaves its place, and the request has another one", async () => {
  const started = await startAfter([listed(shop), listed(rival)])
  const response = started.api.call(shop, "GET", "/products/1")
  await untilAsked()
  await world.admin.query(
    "select pg_terminate_backend(pid) from pg_stat_activity where state = 'starting' and wait_event = 'ClientRead'",
  )
  await expectAnother(started, response)
  await started.close()
})

test("a password with signs that a connection string must escape opens the session that was begun", async () => {
  const odd = "a b%2Fc:d@e/f?g#h%"
  const tenant = await world.addTenant("head-odd", { seed: true })
  const login = loginRole(tenant.id, "a")
  await world.admin.query(`alter role "${login}" password '${odd}'`)
  const { api, answer, through, sentTo, close } = await startAfter([listed(tenant), listed(rival)])
  const response = api.call(tenant, "GET", "/products/1")
  await untilAsked()
  const uri = new URL((through(tenant) as { uri: string }).uri)
  uri.password = encodeURIComponent(odd)
  answer.resolve({ state: "active", uri: uri.href, fleet: FLEET })
  expect((await response).status).toBe(200)
  expect(sentTo(tenant)).toHaveLength(1)
  await close()
})

test("a session that has begun is checked for its marker like any other", async () => {
  const where = { database: rival.database, login: loginRole(rival.id, "a") }
  const { api, answer, through, sentTo, close } = await startAfter([listed(shop, where), listed(rival)])
  const response = api.call(shop, "GET", "/products/1")
  await untilAsked()
  answer.resolve(through(rival))
  expect(await response).toMatchObject({ status: 503, body: { type: "/problems/database-mismatch" } })
  expect(sentTo(rival)).toHaveLength(2)
  await close()
})

test("a session whose secret is still being read leaves its place to who waits without any", async () => {
  const other = await world.addTenant("head-other", { seed: true })
  const { api, answer, through, close } = await startAfter([listed(shop), listed(rival)], {
    budget: 2,
    others: [other],
  })
  const lock = await world.hold(rival.database, "lock table products in access exclusive mode")
  const busy = api.call(rival, "GET", "/products/1")
  await expect.poll(() => world.waiters(rival.database)).toBe(1)
  const response = api.call(shop, "GET", "/products/1")
  await untilAsked()
  expect((await api.call(other, "GET", "/products/1")).status).toBe(200)
  expect(api.pools.counts().tenants).toBe(2)
  answer.resolve(through(shop))
  expect((await response).status).toBe(200)
  await lock.release()
  expect((await busy).status).toBe(200)
  await close()
})

test("a tenant has the place that its own session holds, however busy the others are", async () => {
  const { api, answer, through, sentTo, close } = await startAfter([listed(shop), listed(rival)], {
    budget: 2,
  })
  const lock = await world.hold(rival.database, "lock table products in access exclusive mode")
  const busy = api.call(rival, "GET", "/products/1")
  await expect.poll(() => world.waiters(rival.database)).toBe(1)
  const response = api.call(shop, "GET", "/products/1")
  await untilAsked()
  answer.resolve(through(shop))
  expect((await response).status).toBe(200)
  expect(sentTo(shop)).toHaveLength(1)
  await lock.release()
  expect((await busy).status).toBe(200)
  await close()
})

test("a secret that leads nowhere is no pattern for its neighbours", async () => {
  const odd = await world.addTenant("head-nowhere")
  for (const nowhere of [
    "?sslnegotiation=direct&sslmode=disable",
    "?sslrootcert=/nowhere",
    "@127.0.0.1:1/",
  ]) {
    const uri = nowhere.startsWith("?") ? odd.uri + nowhere : odd.uri.replace(/@.*\//, nowhere)
    const { api, answer, through, sentTo, places, close } = await startAfter(
      [listed(shop), listed(rival), listed(odd)],
      { others: [{ ...odd, uri }] },
    )
    expect((await api.call(odd, "GET", "/products/1")).status).toBeGreaterThanOrEqual(500)
    await expect.poll(places).toBe(1)
    const response = api.call(shop, "GET", "/products/1")
    await untilAsked()
    answer.resolve(through(shop))
    expect((await response).status).toBe(200)
    expect(sentTo(shop)).toHaveLength(1)
    expect(places()).toBe(2)
    await close()
  }
})

test("a session at a server that is gone does not hold up a request that another one serves", async () => {
  const { api, answer, stopListening, places, close } = await startAfter([listed(shop), listed(rival)])
  stopListening()
  const response = api.call(shop, "GET", "/products/1")
  answer.resolve({ state: "active", uri: shop.uri, fleet: FLEET })
  expect((await response).status).toBe(200)
  await expect.poll(places).toBe(1)
  await close()
})

test("a session that needed no password and ends before its secret is read is not used", async () => {
  const [file] = await world.sql<{ hba_file: string }>("postgres", "show hba_file")
  const rules = await readFile(file!.hba_file, "utf8")
  await writeFile(file!.hba_file, `host "${shop.database}" all all trust\n${rules}`)
  await world.admin.query("select pg_reload_conf()")
  const started = await startAfter([listed(shop), listed(rival)])
  const response = started.api.call(shop, "GET", "/products/1")
  const sessions = () =>
    world.sql(
      "postgres",
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${shop.database}'`,
    )
  await expect.poll(sessions).toHaveLength(1)
  await expectAnother(started, response)
  await started.close()
  await writeFile(file!.hba_file, rules)
  await world.admin.query("select pg_reload_conf()")
})

test("a place that was not the tenant's is not tried again, until the tenant is found there", async () => {
  const silent = createServer((socket) => socket.resume()).listen(0, "127.0.0.1")
  await once(silent, "listening")
  const server = `postgres://login:password@127.0.0.1:${(silent.address() as AddressInfo).port}`
  const begun: { uri: string; session: Parameters<Places["reserve"]>[2] }[] = []
  const headStarts = createHeadStarts({
    knownById: (id) => listed(id === shop.id ? shop : rival),
    reserve: (_tenant, uri, session) => (begun.push({ uri, session }), () => {}),
    connectTimeout: 10_000,
    life: 10_000,
    statementTimeout: 0,
  })
  const read = headStarts.beside(() => Promise.resolve({ state: "active", uri: `${server}/x`, fleet: FLEET }))
  headStarts.learn(rival.id, `${server}/rival`)
  await read(shop.id)
  expect(begun[0]!.session.give(`${server}/another`)).toBeUndefined()
  await begun[0]!.session.end()
  await read(shop.id)
  expect(begun).toHaveLength(1)
  headStarts.learn(shop.id, begun[0]!.uri)
  await read(shop.id)
  expect(begun).toHaveLength(2)
  await begun[1]!.session.end()
  silent.close()
})
