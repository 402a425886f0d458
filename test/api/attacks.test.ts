/** What a hostile client can send by hand: the answer is a refusal, the process goes on, and nobody else's row is seen. */
import { once } from "node:events"
import { connect } from "node:net"
import { text as readText } from "node:stream/consumers"
import { gzipSync } from "node:zlib"
import { afterAll, beforeAll, expect, test } from "vitest"
import type { NamedTenant } from "../../api/directory.ts"
import { type Api, startWorld, type TestTenant, type World } from "./world.ts"

let world: World
let api: Api
let shop: TestTenant
let rival: TestTenant

const named = ({ id }: TestTenant, name: string): NamedTenant => ({
  id,
  name,
  state: "active",
  schema: "1",
  isSettled: true,
})

beforeAll(async () => {
  world = await startWorld()
  shop = await world.addTenant("Shopify")
  rival = await world.addTenant("Rival")
  for (const tenant of [shop, rival])
    await world.sql(
      tenant.database,
      `insert into products (name, price) select 'of ${tenant.id}', n from generate_series(1, 9) n;
       insert into users (name, email) values ('of ${tenant.id}', 'of@${tenant.id}.example')`,
    )
  api = await world.serve({
    listTenants: () => Promise.resolve([named(shop, "Shopify"), named(rival, "Rival")]),
    tenants: { sources: new Set(["header", "host", "path"]), hostSuffixes: ["localhost"] },
  })
}, 60_000)
afterAll(async () => {
  await api?.close()
  await world?.close()
})

/** Sends exactly these bytes, and gives all that comes until the connection ends. */
async function raw(bytes: string | Buffer): Promise<string> {
  const { hostname, port } = new URL(api.url)
  const socket = connect(Number(port), hostname)
  await once(socket, "connect")
  socket.write(bytes)
  return readText(socket.on("error", () => {}))
}
const statusOf = (answer: string) => Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1])
const productsOf = async ({ database }: TestTenant) =>
  (await world.sql<{ name: string }>(database, "select name from products order by id")).map(
    ({ name }) => name,
  )

const post = (tenant: TestTenant, body: string, headers: Record<string, string> = {}) =>
  api.send("/products", {
    method: "POST",
    headers: { "X-TenantId": tenant.id, "Content-Type": "application/json", ...headers },
    body,
  })

/** A whole request that would write a row to the rival's, hidden where a body is expected. */
const hidden = () => {
  const body = '{"name":"smuggled","price":1}'
  return `POST /products HTTP/1.1\r\nHost: x\r\nX-TenantId: ${rival.id}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`
}
const CHUNKED = "Transfer-Encoding: chunked"
test.each([
  ["a length and chunks", `Content-Length: 4\r\n${CHUNKED}\r\n\r\n0\r\n\r\n`],
  ["two lengths", "Content-Length: 0\r\nContent-Length: 300\r\n\r\n"],
  ["a list of lengths", "Content-Length: 0, 300\r\n\r\n"],
  ["a length with a sign", "Content-Length: +0\r\n\r\n"],
  ["a length in hexadecimal", "Content-Length: 0x0\r\n\r\n"],
  ["a negative length", "Content-Length: -1\r\n\r\n"],
  ["chunks under a strange name", "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"],
  ["chunks that are not last", "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"],
  ["chunks twice", `${CHUNKED}\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n`],
  ["a space before the colon", "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"],
  ["a folded line", "X-A: b\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
  ["lines that end with LF alone", `X-A: b\nContent-Length: 0\n\n`],
  ["a CR inside a value", "X-A: b\rContent-Length: 0\r\n\r\n"],
  ["a NUL inside a name", "X\u0000A: b\r\n\r\n"],
  ["a chunk larger than any number", `${CHUNKED}\r\n\r\nFFFFFFFFFFFFFFFFF\r\n`],
  ["a chunk whose line ends with LF alone", `${CHUNKED}\r\n\r\n0\n\r\n`],
])("nothing is smuggled past %s", async (_, rest) => {
  const head = `POST /products HTTP/1.1\r\nHost: x\r\nX-TenantId: ${shop.id}\r\nContent-Type: application/json\r\n`
  const answer = await raw(head + rest + hidden())
  expect(statusOf(answer)).toBe(400)
  expect(answer.match(/HTTP\/1\.1 /g)).toHaveLength(1)
  expect(await productsOf(rival)).not.toContain("smuggled")
})

test("two requests on one connection are two requests, each of its own tenant", async () => {
  const first = `GET /products?limit=1 HTTP/1.1\r\nHost: x\r\nX-TenantId: ${shop.id}\r\n\r\n`
  const second = `GET /products?limit=1 HTTP/1.1\r\nHost: x\r\nX-TenantId: ${rival.id}\r\nConnection: close\r\n\r\n`
  const answer = await raw(first + second)
  expect(answer.match(/(?<=of )[0-9a-f-]{36}/g)).toEqual([shop.id, rival.id])
})

test("a tenant that a trailer names is not looked at", async () => {
  const body = '{"name":"trailed","price":1}'
  const chunks = `${body.length.toString(16)}\r\n${body}\r\n0\r\nX-TenantId: ${rival.id}\r\n\r\n`
  const head = (tenant: string) =>
    `POST /products HTTP/1.1\r\nHost: x\r\n${tenant}Content-Type: application/json\r\nTrailer: X-TenantId\r\n${CHUNKED}\r\nConnection: close\r\n\r\n`
  expect(statusOf(await raw(head("") + chunks))).toBe(400)
  expect(statusOf(await raw(head(`X-TenantId: ${shop.id}\r\n`) + chunks))).toBe(201)
  expect(await productsOf(shop)).toContain("trailed")
  expect(await productsOf(rival)).not.toContain("trailed")
})

test.each([
  ["a list", () => `${shop.id}, ${rival.id}`],
  ["a list of one twice", () => `${shop.id},${shop.id}`],
  ["in quotes", () => `"${shop.id}"`],
  ["in braces", () => `{${shop.id}}`],
  ["with a path", () => `${shop.id}/../${rival.id}`],
  ["with digits of another script", () => Buffer.from(shop.id.replace(/\d/, "٣")).toString("latin1")],
  ["as a URN", () => `urn:uuid:${shop.id}`],
])("the tenant header %s is 400", async (_, value) => {
  const answer = await raw(
    Buffer.from(
      `GET /products HTTP/1.1\r\nHost: x\r\nX-TenantId: ${value()}\r\nConnection: close\r\n\r\n`,
      "latin1",
    ),
  )
  expect(statusOf(answer)).toBe(400)
  expect(answer).toContain("/problems/tenant-malformed")
})

test.each([
  "//t/Rival/products",
  "/t//Rival/products",
  "/t/Shopify/../Rival/products",
  "/t/Shopify/..%2fRival/products",
  "/t/Shopify%2f..%2fRival/products",
  "/t/Shopify/%2e%2e/Rival/products",
  "/%74/Rival/products",
  "/t/%52ival;x=1/products",
  "/t/Rival\\products",
  "/products/../t/Rival/products",
  "/products?X-TenantId=Rival",
  "/products#/../t/Rival/products",
  "http://rival.localhost/products",
  "*",
])("the address %s leads to no other tenant", async (target) => {
  const answer = await raw(
    `GET ${target} HTTP/1.1\r\nHost: x\r\nX-TenantId: ${shop.id}\r\nConnection: close\r\n\r\n`,
  )
  expect([200, 400, 404]).toContain(statusOf(answer))
  expect(answer).not.toContain(rival.id)
})

test("what is odd in HTTP and no attack is answered", async () => {
  const own = `X-TenantId: ${shop.id}\r\nConnection: close\r\n`
  const body = '{"name":"expected","price":1}'
  expect(statusOf(await raw(`GET /products HTTP/1.0\r\nX-TenantId: ${shop.id}\r\n\r\n`))).toBe(200)
  const hostless = await raw(`GET /products HTTP/1.1\r\n${own}\r\n`)
  expect(hostless).toMatch(/^HTTP\/1\.1 400 .*"\/problems\/request-malformed"/s)
  expect(statusOf(await raw(`GET /products HTTP/1.1\r\nHost: x\r\nRange: bytes=0-1\r\n${own}\r\n`))).toBe(200)
  expect(statusOf(await raw(`GET /products HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\n${own}\r\n`))).toBe(200)
  expect(statusOf(await raw(`GET /products HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\n${own}\r\n`))).toBe(417)
  expect(statusOf(await raw(`TRACE /products HTTP/1.1\r\nHost: x\r\n${own}\r\n`))).toBe(405)
  expect(await raw(`CONNECT rival.localhost:80 HTTP/1.1\r\nHost: x\r\n\r\n`)).toBe("")
  expect(
    await raw(
      `POST /products HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n${own}\r\n${body}`,
    ),
  ).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 201 /)
})

test("a body that unpacks to a thousand times its size is not unpacked", async () => {
  const bomb = gzipSync(Buffer.alloc(50_000_000, " "))
  const answer = await api.send("/products", {
    method: "POST",
    headers: { "X-TenantId": shop.id, "Content-Type": "application/json", "Content-Encoding": "gzip" },
    body: bomb,
  })
  expect(answer).toMatchObject({ status: 415, body: { type: "/problems/body-not-json" } })
})

test.each([
  '{"name":"once","name":"twice","price":1}',
  '{"name":"once","price":1,"price":2}',
  String.raw`{"name":"once","\u006eame":"twice","price":1}`,
  '{"name":"once","price":1,"__proto__":1,"__proto__":2}',
  '{"name":"once","price":1,"description":{"a":[{"b":1,"b":1}]}}',
])("a body that says a key twice is refused: %s", async (body) => {
  const answer = await post(shop, body)
  expect(answer).toMatchObject({ status: 400, body: { type: "/problems/body-malformed" } })
  expect(answer.body.detail).toMatch(/twice/)
  expect(await productsOf(shop)).not.toContain("twice")
})

test("a key may be said once in each of several objects, and look like another's value", async () => {
  const answer = await post(
    shop,
    String.raw`{"name":"{\"name\":\"name\",\"name\":1}","description":"name","price":1}`,
  )
  expect(answer).toMatchObject({
    status: 201,
    body: { name: '{"name":"name","name":1}', description: "name" },
  })
})

test.each([
  ["a number beyond all doubles", '{"name":"x","price":1e400}'],
  ["a number below all cents", '{"name":"x","price":1e-400000}'],
  ["a number of 90,000 digits", `{"name":"x","price":${"9".repeat(90_000)}}`],
  ["half a surrogate pair", String.raw`{"name":"\ud800","price":1}`],
  ["a NUL", String.raw`{"name":"a\u0000b","price":1}`],
  ["arrays in arrays", `{"name":${"[".repeat(40_000)}${"]".repeat(40_000)},"price":1}`],
  ["objects in objects", `${'{"a":'.repeat(15_000)}1${"}".repeat(15_000)}`],
  ["many keys", `{${Array.from({ length: 9000 }, (_, n) => `"k${n}":1`).join()}}`],
  ["a key of 90,000 characters", `{"${"k".repeat(90_000)}":1,"name":"x","price":1}`],
  ["a byte order mark", '\uFEFF{"name":"x","price":1}'],
])("a body with %s is answered, and no fault", async (_, body) => {
  const answer = await post(shop, body)
  expect([201, 400]).toContain(answer.status)
  expect(JSON.stringify(answer.body).length).toBeLessThan(3000)
  expect((await api.send("/livez")).status).toBe(200)
})

const INJECTED = [
  "'; drop table products; --",
  "' or '1'='1",
  "\\'; select pg_sleep(60) --",
  "$1; drop table products",
  "x' union select name, email from users --",
  "${jndi:ldap://127.0.0.1/a}",
]
test.each(INJECTED)("SQL is a value wherever it is sent: %s", async (sql) => {
  const made = await post(shop, JSON.stringify({ name: sql, price: 1, description: sql }), {
    "Idempotency-Key": sql.replaceAll(" ", "+"),
  })
  expect(made).toMatchObject({ status: 201, body: { name: sql, description: sql } })
  const found = await api.call(shop, "GET", `/products?q=${encodeURIComponent(sql)}`)
  expect(found.body.items).toEqual([made.body])
  const cursor = Buffer.from(JSON.stringify(["name", sql, 1])).toString("base64url")
  expect((await api.call(shop, "GET", `/products?sort=name&after=${cursor}`)).status).toBe(200)
  const refused: [string, string, unknown?][] = [
    ["GET", `/products?sort=${encodeURIComponent(sql)}`],
    ["GET", `/products?minPrice=${encodeURIComponent(sql)}`],
    ["GET", `/products?limit=${encodeURIComponent(sql)}`],
    [
      "GET",
      `/products?after=${Buffer.from(JSON.stringify(["price", sql, 1])).toString("base64url")}&sort=price`,
    ],
    ["GET", `/products/${encodeURIComponent(sql)}`],
    ["DELETE", `/products/${encodeURIComponent(`1 ${sql}`)}`],
    ["POST", "/users", { name: sql, email: sql }],
    ["POST", "/carts", { userId: sql }],
    ["GET", `/t/${encodeURIComponent(sql)}/products`],
  ]
  for (const [method, target, body] of refused) {
    const answer = await api.call(shop, method, target, body)
    expect([400, 404], `${method} ${target}`).toContain(answer.status)
  }
  await api.call(shop, "DELETE", `/products/${made.body.id}`)
  expect(await productsOf(shop)).toContain(`of ${shop.id}`)
})

test("the next of one tenant's page shows another tenant its own rows only", async () => {
  for (const sort of ["id", "name", "-price"]) {
    const page = await api.call(shop, "GET", `/products?limit=2&sort=${sort}`)
    const other = await api.call(rival, "GET", `/products?limit=50&sort=${sort}&after=${page.body.next}`)
    expect([200, 400]).toContain(other.status)
    expect(JSON.stringify(other.body)).not.toContain(shop.id)
  }
})

test("an answer that is kept for one tenant's key is given to no other", async () => {
  const key = { "Idempotency-Key": "same-for-both" }
  const body = JSON.stringify({ name: "kept", price: 1 })
  await post(shop, JSON.stringify({ name: "first", price: 1 }))
  const mine = await post(shop, body, key)
  const theirs = await post(rival, body, key)
  expect(theirs.status).toBe(201)
  expect(theirs.headers.get("idempotency-replayed")).toBeNull()
  expect(theirs.body.id).not.toBe(mine.body.id)
  expect((await productsOf(rival)).filter((name) => name === "kept")).toHaveLength(1)
})
