import { afterAll, afterEach, beforeAll, expect, test } from "vitest"
import { formatMarker, groupRole, loginRole } from "../../reconciler/tenant.ts"
import { type Api, FLEET, newTenantId, startWorld, type TestTenant, type World } from "./world.ts"

let world: World
let serving: Api[] = []

const serve = async (...options: Parameters<World["serve"]>) => {
  const api = await world.serve(...options)
  serving.push(api)
  return api
}

beforeAll(async () => {
  world = await startWorld()
}, 60_000)
afterEach(async () => {
  await Promise.all(serving.map((api) => api.close()))
  serving = []
})
afterAll(() => world?.close())

/** A row that says whose it is, so that a leak is seen. */
const plant = (tenant: TestTenant) =>
  world.sql(tenant.database, `insert into products (name, price) values ('of ${tenant.id}', 1)`)

/** Lets `thief`'s roles into `victim`'s database, as no reconciler would. */
async function letIn(thief: TestTenant, victim: TestTenant) {
  await world.admin.query(`grant connect on database "${victim.database}" to "${groupRole(thief.id)}"`)
  await world.sql(
    victim.database,
    `grant select, insert on all tables in schema public to "${groupRole(thief.id)}"`,
  )
}

const names = (answer: { body: { items: { name: string }[] } }) => answer.body.items.map(({ name }) => name)

test("tenants that ask at the same time, and share few pools, never see each other's rows", async () => {
  const tenants: TestTenant[] = []
  for (const name of ["i1", "i2", "i3", "i4", "i5"]) tenants.push(await world.addTenant(name))
  await Promise.all(tenants.map(plant))
  const api = await serve({ pools: { budget: 2, maxConnections: 2, wait: 60_000 } })
  const answers = await Promise.all(
    Array.from({ length: 300 }, async (_, n) => {
      const tenant = tenants[(n * 7) % tenants.length]!
      const answer = await api.call(tenant, "GET", "/products")
      expect(api.pools.counts().places).toBeLessThanOrEqual(2)
      return { tenant, answer }
    }),
  )
  for (const { tenant, answer } of answers) {
    expect(answer.status).toBe(200)
    expect(names(answer)).toEqual([`of ${tenant.id}`])
  }
})

test("a secret that leads to another tenant's database is 503 with an alarm, and nothing is read or written", async () => {
  const [victim, thief] = [await world.addTenant("Victim1"), await world.addTenant("Thief1")]
  await plant(victim)
  await letIn(thief, victim)
  world.vault.set(thief.id, { state: "active", uri: world.uriOf(thief, victim.database), fleet: FLEET })
  const api = await serve()
  const answer = await api.call(thief, "GET", "/products")
  expect(answer).toMatchObject({ status: 503, body: { type: "/problems/database-mismatch" } })
  expect(JSON.stringify(answer.body)).not.toContain(victim.id)
  expect((await api.call(thief, "POST", "/products", { name: "x", price: 1 })).status).toBe(503)
  expect(await world.sql(victim.database, "select name from products")).toEqual([{ name: `of ${victim.id}` }])
  expect(
    api.logged.some((line) => line.includes('"alarm":"marker-mismatch"') && line.includes(thief.id)),
  ).toBe(true)
})

test("the same secret leaks when the marker is made to agree: it is the marker that holds the rows back", async () => {
  const [victim, thief] = [await world.addTenant("Victim2"), await world.addTenant("Thief2")]
  await plant(victim)
  await letIn(thief, victim)
  world.vault.set(thief.id, { state: "active", uri: world.uriOf(thief, victim.database), fleet: FLEET })
  const forged = formatMarker({ fleet: FLEET, tenant: thief.id })
  await world.admin.query(`comment on database "${victim.database}" is '${forged}'`)
  const api = await serve()
  expect(names(await api.call(thief, "GET", "/products"))).toEqual([`of ${victim.id}`])
})

test.each([
  ["no marker", () => "null"],
  ["somebody's comment", () => "'our shop'"],
  [
    "another fleet's marker",
    (tenant: TestTenant) => `'${formatMarker({ fleet: "other", tenant: tenant.id })}'`,
  ],
  ["another tenant's marker", () => `'${formatMarker({ fleet: FLEET, tenant: newTenantId() })}'`],
])("a database with %s serves nobody", async (_, comment) => {
  const tenant = await world.addTenant(`m-${newTenantId().slice(0, 8)}`)
  await world.admin.query(`comment on database "${tenant.database}" is ${comment(tenant)}`)
  const api = await serve()
  expect(await api.call(tenant, "GET", "/products")).toMatchObject({
    status: 503,
    body: { type: "/problems/database-mismatch" },
  })
})

test("a tenant's role is let into no other tenant's database, whatever the secret says", async () => {
  const [victim, thief] = [await world.addTenant("Victim3"), await world.addTenant("Thief3")]
  world.vault.set(thief.id, { state: "active", uri: world.uriOf(thief, victim.database), fleet: FLEET })
  const api = await serve({ patience: 100 })
  expect(await api.call(thief, "GET", "/products")).toMatchObject({
    status: 503,
    body: { type: "/problems/database-unavailable" },
  })
})

test("two tenants whose databases swap names keep their own rows", async () => {
  const [a, b] = [await world.addTenant("SwapA"), await world.addTenant("SwapB")]
  await Promise.all([plant(a), plant(b)])
  await letIn(a, b)
  await letIn(b, a)
  const api = await serve({ pools: { idleTimeout: 1 } })
  expect(names(await api.call(a, "GET", "/products"))).toEqual([`of ${a.id}`])
  await world.admin.query(
    "select pg_terminate_backend(pid) from pg_stat_activity where datname in ('products-SwapA', 'products-SwapB')",
  )
  for (const [from, to] of [
    ["SwapA", "SwapT"],
    ["SwapB", "SwapA"],
    ["SwapT", "SwapB"],
  ]) {
    await expect
      .poll(() =>
        world.admin.query(`alter database "products-${from}" rename to "products-${to}"`).then(() => true),
      )
      .toBe(true)
  }
  world.vault.set(a.id, { state: "active", uri: world.uriOf(a, "products-SwapB"), fleet: FLEET })
  world.vault.set(b.id, { state: "active", uri: world.uriOf(b, "products-SwapA"), fleet: FLEET })
  expect(names(await api.call(a, "GET", "/products"))).toEqual([`of ${a.id}`])
  expect(names(await api.call(b, "GET", "/products"))).toEqual([`of ${b.id}`])
})

test("a tenant that is retired while it is served fails at once, and comes back with its rows", async () => {
  const tenant = await world.addTenant("Leaver")
  await plant(tenant)
  const active = world.vault.get(tenant.id)!
  const api = await serve({ cache: { refused: { atMost: 0, recheck: 0 } } })
  expect((await api.call(tenant, "GET", "/products")).status).toBe(200)
  world.vault.set(tenant.id, { state: "retired" })
  await world.admin.query(`alter role "${loginRole(tenant.id, "a")}" nologin`)
  await world.admin.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${tenant.database}'`,
  )
  expect(await api.call(tenant, "GET", "/products")).toMatchObject({ status: 410 })
  world.vault.set(tenant.id, active)
  await world.admin.query(`alter role "${loginRole(tenant.id, "a")}" login`)
  expect(names(await api.call(tenant, "GET", "/products"))).toEqual([`of ${tenant.id}`])
})
