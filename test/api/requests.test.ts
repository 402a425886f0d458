import { request as rawRequest } from "node:http"
import { connect } from "node:net"
import { text as readText } from "node:stream/consumers"
import * as fc from "fast-check"
import { afterAll, beforeAll, expect, test } from "vitest"
import { PROBLEMS } from "../../api/problems.ts"
import { TerminalError, TransientError } from "../../reconciler/errors.ts"
import { type Api, newTenantId, startWorld, type TestTenant, type World } from "./world.ts"

let world: World
let api: Api
let shop: TestTenant

beforeAll(async () => {
  world = await startWorld()
  shop = await world.addTenant("Shop", { seed: true })
  api = await world.serve()
}, 60_000)
afterAll(async () => {
  await api?.close()
  await world?.close()
})

const JSON_TYPE = { "Content-Type": "application/json" }
const post = (body: string | Buffer, headers: Record<string, string> = JSON_TYPE) =>
  api.send("/products", { method: "POST", headers: { "X-TenantId": shop.id, ...headers }, body })

test("a request without the tenant header is 400", async () => {
  const answer = await api.send("/products")
  expect(answer).toMatchObject({ status: 400, body: { type: "/problems/tenant-missing", status: 400 } })
  expect(answer.headers.get("content-type")).toMatch(/^application\/problem\+json/)
})

test.each([
  "Shopify",
  "",
  "1",
  "78b0c444-49aa-4308-b35f-9ff530b3192",
  "78b0c444-49aa-4308-b35f-9ff530b31920 x",
])("the tenant header %j is 400", async (value) => {
  const answer = await api.send("/products", { headers: { "X-TenantId": value } })
  expect(answer).toMatchObject({ status: 400, body: { type: "/problems/tenant-malformed" } })
})

test("a tenant's id may be in capitals", async () => {
  expect((await api.call({ id: shop.id.toUpperCase() }, "GET", "/products?limit=1")).status).toBe(200)
})

test.each([
  ["same twice", 0],
  ["two tenants", 1],
] as const)("a repeated tenant header is 400: %s", async (_, which) => {
  const second = [shop.id, newTenantId()][which]!
  const answer = await new Promise<{ status: number | undefined; body: string }>((resolve, reject) => {
    const request = rawRequest(
      `${api.url}/products`,
      { headers: { "X-TenantId": [shop.id, second] } },
      (response) => {
        readText(response).then((body) => resolve({ status: response.statusCode, body }), reject)
      },
    )
    request.once("error", reject)
    request.end()
  })
  expect(answer.status).toBe(400)
  expect(JSON.parse(answer.body)).toMatchObject({ type: "/problems/tenant-repeated" })
})

test("who is not served is told why, and nothing is cached on the way", async () => {
  const says = async (state: Parameters<World["vault"]["set"]>[1] | undefined) => {
    const id = newTenantId()
    if (state) world.vault.set(id, state)
    return api.call({ id }, "GET", "/products")
  }
  expect(await says(undefined)).toMatchObject({ status: 404, body: { type: "/problems/tenant-not-found" } })
  expect(await says({ state: "suspended" })).toMatchObject({
    status: 403,
    body: { type: "/problems/tenant-suspended" },
  })
  expect(await says({ state: "retired" })).toMatchObject({
    status: 410,
    body: { type: "/problems/tenant-retired" },
  })
  const reserved = await says({ state: "reserved" })
  expect(reserved).toMatchObject({ status: 503, body: { type: "/problems/tenant-reserved" } })
  expect(reserved.headers.get("retry-after")).toBe("1")
  const away = await says(new TransientError("Unreachable", "no answer"))
  expect(away).toMatchObject({ status: 503, body: { type: "/problems/vault-unavailable" } })
  expect(away.headers.get("retry-after")).toBe("1")
  expect(away.headers.get("cache-control")).toBe("no-store")
  expect(await says(new TerminalError("Forbidden", "no role"))).toMatchObject({
    status: 503,
    body: { type: "/problems/vault-unavailable" },
  })
})

test("a path that leads nowhere is 404 and asks the vault nothing", async () => {
  const before = api.vaultReads()
  for (const target of ["/", "/nothing", "/products/1/2", "/PRODUCTS2", "/..%2f..%2fetc/passwd"]) {
    const answer = await api.call({ id: newTenantId() }, "GET", target)
    expect(answer, target).toMatchObject({ status: 404, body: { type: "/problems/route-not-found" } })
  }
  expect(await api.call({ id: newTenantId() }, "DELETE", "/products")).toMatchObject({ status: 405 })
  expect(api.vaultReads()).toBe(before)
})

test("a wrong method is 405 and names the right ones", async () => {
  const answer = await api.call(shop, "DELETE", "/products")
  expect(answer).toMatchObject({ status: 405, body: { type: "/problems/method-not-allowed" } })
  expect(answer.headers.get("allow")).toBe("GET, HEAD, POST")
})

test("a path that is no text is 400", async () => {
  expect(await api.call(shop, "GET", "/products/%ff")).toMatchObject({
    status: 400,
    body: { type: "/problems/request-malformed" },
  })
})

test("bodies that are no JSON object in UTF-8 are refused", async () => {
  const good = JSON.stringify({ name: "x", price: 1 })
  const malformed = { status: 400, body: { type: "/problems/body-malformed" } }
  const notJson = { status: 415, body: { type: "/problems/body-not-json" } }
  expect(await post("{")).toMatchObject(malformed)
  expect(await post("")).toMatchObject(malformed)
  expect(await post("[".repeat(50_000))).toMatchObject(malformed)
  expect(await post(Buffer.from([0x22, 0xff, 0x22]))).toMatchObject(malformed)
  expect(await post(Buffer.from(good, "utf16le"))).toMatchObject(malformed)
  expect(await post("[]")).toMatchObject({ status: 400, body: { type: "/problems/request-invalid" } })
  expect(await post("null")).toMatchObject({ status: 400, body: { type: "/problems/request-invalid" } })
  expect(await post(good, { "Content-Type": "text/plain" })).toMatchObject(notJson)
  expect(await post(good, { "Content-Type": "application/json; charset=utf-16" })).toMatchObject(notJson)
  expect(await post(good, { ...JSON_TYPE, "Content-Encoding": "gzip" })).toMatchObject(notJson)
  expect(await post(good, { "Content-Type": "Application/JSON; charset=UTF-8" })).toMatchObject({
    status: 201,
  })
})

/** A new product in JSON of this many bytes. */
const ofSize = (bytes: number) => {
  const frame = JSON.stringify({ name: "x", price: 1, description: "" })
  return JSON.stringify({ name: "x", price: 1, description: "y".repeat(bytes - frame.length) })
}

test("a body of 100,000 bytes is read and one of 100,001 is 413", async () => {
  expect(await post(ofSize(100_000))).toMatchObject({
    status: 400,
    body: { type: "/problems/request-invalid" },
  })
  expect(await post(ofSize(100_001))).toMatchObject({
    status: 413,
    body: { type: "/problems/body-too-large" },
  })
})

test("no request makes a prototype", async () => {
  const answer = await post('{"name":"x","price":1,"__proto__":{"price":2},"constructor":{}}')
  expect(answer).toMatchObject({ status: 400 })
  expect(answer.body.errors.map(({ field }: { field: string }) => field)).toEqual([
    "__proto__",
    "constructor",
  ])
  expect(({} as { price?: unknown }).price).toBeUndefined()
})

test("every problem has a page at its type", async () => {
  const { body } = await api.send("/problems")
  expect(body.items.map(({ type }: { type: string }) => type)).toEqual(
    Object.keys(PROBLEMS).map((key) => `/problems/${key}`),
  )
  for (const item of body.items) expect((await api.send(item.type)).body).toEqual(item)
  expect((await api.send("/problems/toString")).status).toBe(404)
})

test("a fault of ours is 500 without a stack or SQL, and the log has it under the same id", async () => {
  await world.sql(
    shop.database,
    `create function fail() returns trigger language plpgsql as $$ begin raise 'users at fault'; end $$;
     create trigger fault before insert on users execute function fail()`,
  )
  const answer = await api.call(shop, "POST", "/users", { name: "A", email: "a@fault.example" })
  await world.sql(shop.database, "drop function fail cascade")
  expect(answer).toMatchObject({ status: 500, body: { type: "/problems/internal" } })
  expect(JSON.stringify(answer.body)).not.toMatch(/relation|select|users|\bat /)
  const line = api.logged.find((one) => one.includes(answer.body.requestId))
  expect(line).toContain("users at fault")
  expect(answer.headers.get("x-request-id")).toBe(answer.body.requestId)
})

test("it lives without the vault, but is ready only with it and until it drains", async () => {
  let isAway = false
  const lonely = await world.serve({
    readVault: () =>
      isAway ? Promise.reject(new TransientError("Away", "away")) : Promise.resolve(undefined),
  })
  expect((await lonely.send("/readyz")).status).toBe(200)
  isAway = true
  await expect.poll(async () => (await lonely.send("/readyz")).status).toBe(503)
  expect((await lonely.send("/livez")).status).toBe(200)
  isAway = false
  await expect.poll(async () => (await lonely.send("/readyz")).status).toBe(200)
  lonely.readiness.drain()
  expect((await lonely.send("/readyz")).status).toBe(503)
  await lonely.close()
})

test("no hostile request is a 500 or ends the process", async () => {
  const word = fc.oneof(
    fc.string({ unit: "binary", maxLength: 40 }),
    fc.constantFrom(
      "' or 1=1 --",
      "1; drop table products",
      "../..",
      "%00",
      "\u0000",
      "__proto__",
      "-1",
      "1e9",
      "NaN",
    ),
  )
  const value = fc.oneof(
    fc.json({ maxDepth: 3 }),
    word.map((text) => JSON.stringify({ name: text, price: 1 })),
    word,
  )
  const target = fc.oneof(
    fc.constantFrom(
      "/products",
      "/products/1",
      "/carts",
      "/carts/1",
      "/carts/1/items",
      "/carts/1/items/1",
      "/users",
    ),
    word.map((text) => `/products/${encodeURIComponent(text.toWellFormed())}`),
    word.map((text) => `/products?q=${encodeURIComponent(text.toWellFormed())}`),
    fc
      .tuple(word, word)
      .map(([a, b]) => `/users?${new URLSearchParams([[a.toWellFormed(), b.toWellFormed()]]).toString()}`),
  )
  const method = fc.constantFrom("GET", "POST", "PUT", "PATCH", "DELETE")
  await fc.assert(
    fc.asyncProperty(method, target, value, async (verb, path, body) => {
      const answer = await api.send(path, {
        method: verb,
        headers: { "X-TenantId": shop.id, ...JSON_TYPE },
        ...(verb === "GET" || verb === "DELETE" ? {} : { body }),
      })
      expect(answer.status, `${verb} ${path} ${body} ${JSON.stringify(answer.body)}`).toBeLessThan(500)
      if (answer.status >= 400) expect(answer.body.type).toMatch(/^\/problems\//)
    }),
    { numRuns: 400 },
  )
  expect(await world.sql(shop.database, "select count(*)::int from users where id <= 5")).toEqual([
    { count: 5 },
  ])
})

test("bytes that are no HTTP end only their own connection", async () => {
  const { hostname, port } = new URL(api.url)
  const socket = connect(Number(port), hostname)
  socket.end(
    "GET /products HTTP/1.1\r\nX-TenantId\u0000: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
  )
  expect(await readText(socket)).toMatch(/^HTTP\/1\.1 400/)
  expect((await api.send("/livez")).status).toBe(200)
})
