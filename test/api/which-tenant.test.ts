import { once } from "node:events"
import { type IncomingMessage, request as rawRequest } from "node:http"
import { connect } from "node:net"
import { text as readText } from "node:stream/consumers"
import { afterAll, beforeAll, expect, test } from "vitest"
import type { NamedTenant } from "../../api/directory.ts"
import { TransientError } from "../../reconciler/errors.ts"
import { type Api, newTenantId, startWorld, type TestTenant, type World } from "./world.ts"

let world: World
let api: Api
let shop: TestTenant
let cafe: TestTenant
let listed: NamedTenant[]

const named = (id: TestTenant["id"], name: string, state = "active", hosts: string[] = []): NamedTenant => ({
  id,
  name,
  state,
  schema: "1",
  isSettled: state === "active" || state === "suspended",
  hosts,
})

beforeAll(async () => {
  world = await startWorld()
  shop = await world.addTenant("Shopify")
  cafe = await world.addTenant("Cafe")
  for (const tenant of [shop, cafe])
    await world.sql(tenant.database, `insert into products (name, price) values ('of ${tenant.id}', 1)`)
  listed = [
    named(shop.id, "Shopify", "active", ["shop.brand.example", "brand.example"]),
    // Those within the API's own domains are not believed.
    named(cafe.id, "Café", "active", [
      "cafe.example",
      "shopify.localhost",
      "nobody.shop.example",
      "shop.example",
    ]),
  ]
  api = await world.serve({
    listTenants: () => Promise.resolve(listed),
    directory: { missInterval: 600_000 },
    tenants: { sources: new Set(["header", "host", "path"]), hostSuffixes: ["shop.example", "localhost"] },
  })
}, 60_000)
afterAll(async () => {
  await api?.close()
  await world?.close()
})

/** A request with exactly these headers. */
async function raw(target: string, headers: Record<string, string>, from: Api = api) {
  const request = rawRequest(from.url, { path: target, headers }).end()
  const [response] = (await once(request, "response")) as [IncomingMessage]
  const { type, items } = JSON.parse(await readText(response)) as { type: string; items?: { name: string }[] }
  return { status: response.statusCode, type, owner: items?.[0]?.name.replace("of ", "") }
}

test.each([
  "Host: shopify.localhost\r\nHost: xn--caf-dma.localhost",
  "Host: shopify.localhost\r\nHost: shopify.localhost",
  "Host: shopify.localhost, xn--caf-dma.localhost",
  "Host: shop.brand.example\r\nHost: cafe.example",
  "Host: shop.brand.example, cafe.example",
  "Host: shop.brand.example\r\n cafe.example",
])("more than one host is refused: %j", async (headers) => {
  const { hostname, port } = new URL(api.url)
  const socket = connect(Number(port), hostname)
  socket.end(`GET /products HTTP/1.1\r\n${headers}\r\nConnection: close\r\n\r\n`)
  expect(await readText(socket)).toMatch(/^HTTP\/1\.1 40[04] /)
})

test.each([
  "GET http://shopify.localhost/products HTTP/1.1\r\nHost: xn--caf-dma.localhost",
  "GET products HTTP/1.1\r\nHost: shopify.localhost",
])("an address that is no path is refused: %j", async (head) => {
  const { hostname, port } = new URL(api.url)
  const socket = connect(Number(port), hostname)
  socket.end(`${head}\r\nConnection: close\r\n\r\n`)
  expect(await readText(socket)).toMatch(/^HTTP\/1\.1 400 /)
})

test.each([
  ["its id in the header", "/products", () => ({ "X-TenantId": shop.id })],
  ["its name in the host", "/products", () => ({ Host: "shopify.shop.example" })],
  [
    "its name in the host, in capitals and with a port",
    "/products",
    () => ({ Host: "SHOPIFY.Shop.Example:8080" }),
  ],
  ["its name in the host, with a final dot", "/products", () => ({ Host: "shopify.shop.example." })],
  ["its name before .localhost", "/products", () => ({ Host: "shopify.localhost:3000" })],
  ["its name in the path", "/t/Shopify/products", () => ({})],
  ["its name in the path, in small letters", "/t/shopify/products?limit=1", () => ({})],
  ["a host of its own", "/products", () => ({ Host: "shop.brand.example" })],
  ["another host of its own", "/products", () => ({ Host: "brand.example" })],
  ["a host of its own, in capitals, with a port", "/products", () => ({ Host: "SHOP.Brand.Example:8443" })],
  ["a host of its own, with a final dot", "/products", () => ({ Host: "shop.brand.example.:80" })],
  [
    "a host of its own, its id and its name",
    "/t/shopify/products",
    () => ({ Host: "shop.brand.example", "X-TenantId": shop.id }),
  ],
  [
    "its id, at a host that no tenant has",
    "/products",
    () => ({ Host: "api.example", "X-TenantId": shop.id }),
  ],
  ["its name, at a host that no tenant has", "/t/shopify/products", () => ({ Host: "api.example" })],
  ["all three", "/t/shopify/products", () => ({ Host: "shopify.localhost", "X-TenantId": shop.id })],
])("a tenant is found by %s", async (_, target, headers) => {
  expect(await raw(target, headers())).toEqual({ status: 200, type: undefined, owner: shop.id })
})

test("whoever names another tenant's host in our domain gets none of its requests, and the log says so", async () => {
  expect(await raw("/products", { Host: "shopify.localhost" })).toMatchObject({ status: 200, owner: shop.id })
  expect(api.logged.join("")).toContain("host-in-own-domain")
})

test("names that are not ASCII work in the host and in the path", async () => {
  for (const [target, headers] of [
    ["/products", { Host: "xn--caf-dma.shop.example" }],
    [`/t/${encodeURIComponent("café")}/products`, {}],
    [`/t/${encodeURIComponent("CAFÉ")}/products`, {}],
  ] as const) {
    expect(await raw(target, headers)).toMatchObject({ status: 200, owner: cafe.id })
  }
})

test("a name of digits is no address, and of two domains of which one lies in the other the longer one counts", async () => {
  const other = await world.serve({
    listTenants: () => Promise.resolve([named(shop.id, "4711"), named(cafe.id, "0x1f")]),
    tenants: { sources: new Set(["host"]), hostSuffixes: ["example", "shop.example"] },
  })
  expect(await raw("/products", { Host: "4711.shop.example" }, other)).toMatchObject({ owner: shop.id })
  expect(await raw("/products", { Host: "0x1f.example" }, other)).toMatchObject({ owner: cafe.id })
  await other.close()
})

const ambiguous = { status: 400, type: "/problems/tenant-ambiguous", owner: undefined }
const missing = { status: 400, type: "/problems/tenant-missing", owner: undefined }
const unknown = { status: 404, type: "/problems/tenant-not-found", owner: undefined }
test.each([
  ["header and path disagree", "/t/shopify/products", () => ({ "X-TenantId": cafe.id }), ambiguous],
  ["host and path disagree", "/t/shopify/products", () => ({ Host: "xn--caf-dma.localhost" }), ambiguous],
  [
    "header and host disagree",
    "/products",
    () => ({ Host: "shopify.localhost", "X-TenantId": cafe.id }),
    ambiguous,
  ],
  [
    "an id that nobody has beside a name",
    "/t/shopify/products",
    () => ({ "X-TenantId": newTenantId() }),
    ambiguous,
  ],
  ["no tenant at all", "/products", () => ({}), missing],
  ["the bare domain", "/products", () => ({ Host: "shop.example" }), missing],
  [
    "a domain of somebody else's",
    "/products",
    () => ({ Host: "shopify.shop.example.evil.example" }),
    unknown,
  ],
  ["a suffix without its dot", "/products", () => ({ Host: "shopifyshop.example" }), unknown],
  ["a host below a tenant's", "/products", () => ({ Host: "a.shop.brand.example" }), unknown],
  ["a host above a tenant's", "/products", () => ({ Host: "example" }), missing],
  ["an address", "/products", () => ({ Host: "[::1]:3000" }), missing],
  ["a host with a path", "/products", () => ({ Host: "shop.brand.example/x" }), missing],
  ["a host with a user", "/products", () => ({ Host: "shop.brand.example@evil.example" }), missing],
  ["a host before a hash", "/products", () => ({ Host: "shop.brand.example#.evil.example" }), missing],
  ["a host with two ports", "/products", () => ({ Host: "shop.brand.example:80:80" }), missing],
  ["a host with two final dots", "/products", () => ({ Host: "shop.brand.example.." }), missing],
  [
    "a forwarded host of a tenant's own",
    "/products",
    () => ({ "X-Forwarded-Host": "shop.brand.example" }),
    missing,
  ],
  [
    "a host of its own and the header disagree",
    "/products",
    () => ({ Host: "shop.brand.example", "X-TenantId": cafe.id }),
    ambiguous,
  ],
  [
    "a host of its own and the path disagree",
    "/t/shopify/products",
    () => ({ Host: "cafe.example" }),
    ambiguous,
  ],
  ["a host in our domain that a file names", "/products", () => ({ Host: "nobody.shop.example" }), unknown],
  ["our bare domain that a file names", "/products", () => ({ Host: "shop.example" }), missing],
  ["a forwarded host", "/products", () => ({ "X-Forwarded-Host": "shopify.localhost" }), missing],
  ["a name nobody has", "/t/nobody/products", () => ({}), unknown],
  ["a host nobody has", "/products", () => ({ Host: "nobody.localhost" }), unknown],
  ["two labels before the domain", "/products", () => ({ Host: "a.shopify.localhost" }), unknown],
  ["a good header and a bad name", "/t/nobody/products", () => ({ "X-TenantId": shop.id }), unknown],
])("%s is refused", async (_, target, headers, answer) => {
  expect(await raw(target, headers())).toEqual(answer)
})

test.each([
  "..",
  "%2e%2e",
  "..%2f..%2fetc%2fpasswd",
  "shopify%00",
  "shopify%2fproducts",
  "shop ify",
  "'; drop table products --",
  "__proto__",
  "constructor",
  "x".repeat(3000),
])("the name %j in a path leads to nobody", async (name) => {
  const answer = await raw(`/t/${name.replaceAll(" ", "%20")}/products`, {})
  expect([400, 404]).toContain(answer.status)
  expect(answer.owner).toBeUndefined()
})

test("a path that leads nowhere asks for no list of tenants", async () => {
  const fresh = await world.serve({ tenants: { sources: new Set(["path"]) } })
  for (const target of [
    "/t/shopify",
    "/t/shopify/",
    "/t/shopify/nothing",
    "/t//products",
    "/t/shopify/t/shopify/products",
  ])
    expect((await fresh.send(target)).status, target).toBe(404)
  expect(fresh.lists()).toBe(0)
  await fresh.close()
})

const described = async (from: Api) => (await from.send("/openapi.json")).body.paths["/products"].get

test("what is switched off is not looked at", async () => {
  const byHeader = await world.serve({ listTenants: () => Promise.resolve(listed) })
  expect(await raw("/products", { Host: "shopify.localhost" }, byHeader)).toEqual(missing)
  expect((await byHeader.send("/t/shopify/products")).body).toMatchObject({
    type: "/problems/route-not-found",
  })
  const byPath = await world.serve({
    listTenants: () => Promise.resolve(listed),
    tenants: { sources: new Set(["path"]) },
  })
  expect(await raw("/products", { "X-TenantId": shop.id }, byPath)).toEqual(missing)
  expect(await described(byHeader)).toMatchObject({
    parameters: expect.arrayContaining([expect.objectContaining({ name: "X-TenantId", required: true })]),
  })
  const { parameters, servers } = await described(byPath)
  expect(JSON.stringify(parameters)).not.toContain("X-TenantId")
  expect(servers).toMatchObject([{ url: "/t/{tenant}" }])
  await Promise.all([byHeader.close(), byPath.close()])
})

test("what is made under a path is found where Location says", async () => {
  const made = await api.send("/t/Shopify/products", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ name: "located", price: 1 }),
  })
  expect(made.headers.get("location")).toBe(`/t/Shopify/products/${made.body.id}`)
  expect((await api.send(made.headers.get("location")!)).body).toEqual(made.body)
})

test("a new name is served at the next look, and misses cost a bounded number of looks", async () => {
  let said = [named(shop.id, "Old")]
  const fresh = await world.serve({
    listTenants: () => Promise.resolve(said),
    directory: { missInterval: 100 },
    tenants: { sources: new Set(["path"]) },
  })
  expect((await fresh.send("/t/Old/products")).status).toBe(200)
  said = [named(shop.id, "New")]
  await expect.poll(async () => (await fresh.send("/t/New/products")).status).toBe(200)
  expect((await fresh.send("/t/Old/products")).status).toBe(404)
  const patient = await world.serve({
    listTenants: () => Promise.resolve(said),
    directory: { missInterval: 600_000 },
    tenants: { sources: new Set(["path"]) },
  })
  await Promise.all(Array.from({ length: 50 }, (_, n) => patient.send(`/t/nobody${n}/products`)))
  expect(patient.lists()).toBe(1)
  await Promise.all([fresh.close(), patient.close()])
})

test("a name follows its tenant, the retired one gives way, and a name that two claim leads to neither", async () => {
  let said = [named(shop.id, "Shared", "retired"), named(cafe.id, "shared")]
  const fresh = await world.serve({
    listTenants: () => Promise.resolve(said),
    directory: { interval: 10 },
    tenants: { sources: new Set(["path"]) },
  })
  const owner = async () => {
    const { status, body } = await fresh.send("/t/shared/products")
    return status === 200 ? body.items[0].name : status
  }
  expect(await owner()).toBe(`of ${cafe.id}`)
  said = [named(shop.id, "shared"), named(cafe.id, "Other")]
  await expect.poll(owner).toBe(`of ${shop.id}`)
  // While it passes from one to the other, both claim it.
  said = [named(shop.id, "shared", "reserved"), { ...named(cafe.id, "Shared"), isSettled: false }]
  await expect.poll(owner).toBe(`of ${cafe.id}`)
  said = [named(shop.id, "shared"), { ...named(cafe.id, "Shared"), isSettled: false }]
  await expect.poll(owner).toBe(`of ${shop.id}`)
  expect(fresh.logged.join("")).not.toContain("name-claimed-twice")
  said = [named(shop.id, "shared"), named(cafe.id, "SHARED")]
  await expect.poll(owner).toBe(404)
  expect(fresh.logged.join("")).toContain("name-claimed-twice")
  await fresh.close()
})

/** The API by hosts alone, over a list that a test may change; `at` is whose product a host shows, or the refusal. */
async function byHosts(start: NamedTenant[], directory: Parameters<World["serve"]>[0] = {}) {
  const said = { tenants: start }
  const fresh = await world.serve({
    listTenants: () => Promise.resolve(said.tenants),
    tenants: { sources: new Set(["host"]), hostSuffixes: ["localhost"] },
    ...directory,
  })
  const at = async (Host: string) => {
    const { status, owner } = await raw("/products", { Host }, fresh)
    return owner ?? status
  }
  return { said, fresh, at }
}

test("a host is served at the next look once it is named, changes hands, and leads nowhere once it is not", async () => {
  const host = "new.example"
  const [shops, cafes] = [
    (...hosts: string[]) => named(shop.id, "S", "active", hosts),
    (...hosts: string[]) => named(cafe.id, "C", "active", hosts),
  ]
  const { said, fresh, at } = await byHosts([shops(), cafes()], { directory: { interval: 10 } })
  expect(await at(host)).toBe(404)
  said.tenants = [shops(host), cafes()]
  expect(await at(host)).toBe(shop.id)
  said.tenants = [shops(), cafes()]
  await expect.poll(() => at(host)).toBe(404)
  said.tenants = [shops(), cafes(host)]
  expect(await at(host)).toBe(cafe.id)
  await fresh.close()
})

test("a host that two tenants have leads to neither; a retired one gives way", async () => {
  const pair = (...states: string[]) => [
    named(shop.id, "S", states[0], ["two.example"]),
    named(cafe.id, "C", states[1], ["two.example"]),
  ]
  const { said, fresh, at } = await byHosts(pair("active", "active"), { directory: { interval: 10 } })
  expect(await at("two.example")).toBe(404)
  expect(fresh.logged.join("")).toContain("host-claimed-twice")
  said.tenants = pair("active", "suspended")
  expect(await at("two.example")).toBe(404)
  said.tenants = pair("retired", "active")
  await expect.poll(() => at("two.example")).toBe(cafe.id)
  await fresh.close()
})

test("at its own host too a suspended tenant is 403, a retired one 410, and one that is being made 503", async () => {
  const { fresh, at } = await byHosts(
    ["suspended", "retired", "reserved"].map((state) => {
      const id = newTenantId()
      world.vault.set(id, { state: state as "suspended" })
      return named(id, state, state, [`${state}.example`])
    }),
  )
  expect(await Promise.all(["suspended.example", "retired.example", "reserved.example"].map(at))).toEqual([
    403, 410, 503,
  ])
  await fresh.close()
})

test("hosts that nobody has cost a bounded number of looks, and none where another way names the tenant", async () => {
  const { fresh } = await byHosts(listed, { directory: { missInterval: 600_000 } })
  await Promise.all(Array.from({ length: 50 }, (_, n) => raw("/products", { Host: `h${n}.example` }, fresh)))
  expect(fresh.lists()).toBe(1)
  const { fresh: both } = await byHosts(listed, {
    listTenants: () => new Promise(() => {}),
    tenants: { sources: new Set(["header", "host"]), hostSuffixes: ["localhost"] },
  })
  for (let n = 0; n < 20; n++) {
    const answer = await raw("/products", { Host: `h${n}.example`, "X-TenantId": shop.id }, both)
    expect(answer.owner).toBe(shop.id)
  }
  expect(both.lists()).toBe(1)
  await Promise.all([fresh.close(), both.close()])
})

test("by its own host nobody is found where hosts are switched off", async () => {
  const byPath = await world.serve({
    listTenants: () => Promise.resolve(listed),
    tenants: { sources: new Set(["header", "path"]) },
  })
  expect(await raw("/products", { Host: "shop.brand.example" }, byPath)).toEqual(missing)
  expect(await raw("/products", { Host: "shop.brand.example", "X-TenantId": cafe.id }, byPath)).toMatchObject(
    {
      owner: cafe.id,
    },
  )
  await byPath.close()
})

test("while the list cannot be read, known names are served on, and any other is 503, not unknown", async () => {
  let isAway = true
  const fresh = await world.serve({
    listTenants: () =>
      isAway ? Promise.reject(new TransientError("Away", "away")) : Promise.resolve(listed),
    directory: { missInterval: 0 },
    tenants: { sources: new Set(["path"]) },
  })
  const status = async (name = "Shopify") => (await fresh.send(`/t/${name}/products`)).status
  expect(await status()).toBe(503)
  isAway = false
  expect(await status()).toBe(200)
  expect(await status("Newcomer")).toBe(404)
  isAway = true
  expect(await status()).toBe(200)
  expect(await status("Newcomer")).toBe(503)
  isAway = false
  expect(await status("Newcomer")).toBe(404)
  await fresh.close()
})
