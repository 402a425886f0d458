import { afterAll, beforeAll, expect, test } from "vitest"
import { type Api, startWorld, type TestTenant, type World } from "./world.ts"

let world: World
let api: Api
let shop: TestTenant
let other: TestTenant

beforeAll(async () => {
  world = await startWorld()
  shop = await world.addTenant("Shop")
  other = await world.addTenant("Other")
  api = await world.serve()
}, 60_000)
afterAll(async () => {
  await api?.close()
  await world?.close()
})

const post = (key: string, target: string, body: unknown, tenant = shop) =>
  api.call(tenant, "POST", target, body, { "Idempotency-Key": key })

const countOf = async (name: string, tenant = shop) =>
  (await world.sql(tenant.database, `select from products where name = '${name}'`)).length

test("a POST sent again with its key adds nothing, and is answered as before", async () => {
  const first = await post("k1", "/products", { name: "once", price: 1 })
  expect(first.status).toBe(201)
  await api.call(shop, "PATCH", `/products/${first.body.id}`, { price: 5 })
  const again = await post("k1", "/products", { name: "once", price: 1 })
  expect(again).toMatchObject({ status: 201, body: first.body })
  for (const header of ["location", "etag"]) expect(again.headers.get(header)).toBe(first.headers.get(header))
  expect([first, again].map(({ headers }) => headers.get("idempotency-replayed"))).toEqual([null, "true"])
  expect(await countOf("once")).toBe(1)
})

test("without a key the same POST adds a second one: it is the key that holds it back", async () => {
  for (const _ of [1, 2]) await api.call(shop, "POST", "/products", { name: "twice", price: 1 })
  expect(await countOf("twice")).toBe(2)
})

test("of many that are sent at once with one key, one adds", async () => {
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => post("k2", "/products", { name: "raced", price: 1 })),
  )
  expect(new Set(answers.map(({ status, body }) => `${status} ${body.id}`)).size).toBe(1)
  expect(await countOf("raced")).toBe(1)
})

test("a key belongs to one request, and to one tenant", async () => {
  await post("k3", "/products", { name: "mine", price: 1 })
  for (const [target, body] of [
    ["/products", { name: "mine", price: 2 }],
    ["/users", { name: "mine", email: "mine@example.com" }],
  ] as const) {
    expect(await post("k3", target, body)).toMatchObject({
      status: 422,
      body: { type: "/problems/idempotency-key-reused" },
    })
  }
  expect((await post("k3", "/products", { name: "theirs", price: 3 }, other)).status).toBe(201)
  expect([await countOf("mine"), await countOf("theirs", other)]).toEqual([1, 1])
})

test("a refusal is not kept: once its cause is mended, the same request is done", async () => {
  expect((await post("k4", "/carts", { userId: 1 })).status).toBe(422)
  await world.sql(
    shop.database,
    "insert into users (id, name, email) overriding system value values (1, 'Ada', 'ada@example.com')",
  )
  expect((await post("k4", "/carts", { userId: 1 })).status).toBe(201)
})

test("after a day a key is free again, and old keys do not pile up", async () => {
  await post("k5", "/products", { name: "daily", price: 1 })
  await world.sql(
    shop.database,
    `update idempotency_keys set created_at = now() - interval '25 hours';
     insert into idempotency_keys (caller, key, fingerprint, created_at)
     select '', 'old ' || n, 'x', now() - interval '26 hours' from generate_series(1, 150) n`,
  )
  expect(
    (await post("k5", "/products", { name: "daily", price: 1 })).headers.get("idempotency-replayed"),
  ).toBeNull()
  expect(await countOf("daily")).toBe(2)
  const old = "select key from idempotency_keys where key like 'old %'"
  expect(await world.sql(shop.database, old)).toHaveLength(50)
  await post("k6", "/products", { name: "later", price: 1 })
  expect(await world.sql(shop.database, "select key from idempotency_keys order by key")).toEqual([
    { key: "k5" },
    { key: "k6" },
  ])
})

test.each(["", "x".repeat(256), "a b", "é"])("the key %j is refused", async (key) => {
  expect((await post(key, "/products", { name: "refused", price: 1 })).status).toBe(400)
})

test("on a schema that is older than keys it is 503 and done by nobody, and without a key it is served", async () => {
  const behind = await world.addTenant("Behind")
  await world.sql(behind.database, "drop table idempotency_keys")
  const answer = await post("k9", "/products", { name: "early", price: 1 }, behind)
  expect(answer).toMatchObject({ status: 503, body: { type: "/problems/schema-behind" } })
  expect(answer.headers.get("retry-after")).toBe("1")
  expect(await countOf("early", behind)).toBe(0)
  expect((await api.call(behind, "POST", "/products", { name: "early", price: 1 })).status).toBe(201)
})
