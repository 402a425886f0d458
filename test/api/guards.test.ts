import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import path from "node:path"
import { afterAll, beforeAll, expect, test } from "vitest"
import type { NamedTenant } from "../../api/directory.ts"
import { limitRate } from "../../api/rate.ts"
import { openTemplate } from "../../api/template.ts"
import { TransientError } from "../../reconciler/errors.ts"
import { type Api, FLEET, newTenantId, startWorld, type TestTenant, type World } from "./world.ts"

let world: World
let api: Api
let shop: TestTenant
let other: TestTenant

beforeAll(async () => {
  world = await startWorld()
  shop = await world.addTenant("Shop", { seed: true })
  other = await world.addTenant("Other", { seed: true })
  api = await world.serve({ origins: ["https://shop.example"] })
}, 60_000)
afterAll(async () => {
  await api?.close()
  await world?.close()
})

test("a key may go as fast as its rate, twice that at once, and not faster", () => {
  let clock = 0
  const rate = limitRate("caller", 10, { now: () => clock, capacity: 2 })
  const taken = (key: string) => {
    let count = 0
    try {
      for (; count < 1000; count++) rate(key)
    } catch (error) {
      expect(error).toMatchObject({ key: "rate-exceeded", extra: { retryAfter: 1 } })
    }
    return count
  }
  expect(taken("a")).toBe(20)
  expect(taken("a")).toBe(0)
  expect(taken("b")).toBe(20)
  clock += 500
  expect(taken("a")).toBe(5)
  clock += 60_000
  expect(taken("a")).toBe(20)
})

test("a tenant that is asked for too often is 429, and no other tenant is", async () => {
  let clock = 0
  const limited = await world.serve({
    tenantRate: limitRate("tenant", 2, { now: () => clock, capacity: 10 }),
    callerRate: limitRate("caller", 100, { now: () => clock, capacity: 10 }),
  })
  const statuses = []
  for (let n = 0; n < 6; n++) statuses.push((await limited.call(shop, "GET", "/products/1")).status)
  expect(statuses).toEqual([200, 200, 200, 200, 429, 429])
  const refused = await limited.call(shop, "GET", "/products/1")
  expect(refused.body.type).toBe("/problems/rate-exceeded")
  expect(refused.headers.get("retry-after")).toBe("1")
  expect(refused.headers.get("ratelimit-policy")).toBe('"tenant";q=4;w=2')
  expect(refused.headers.get("ratelimit")).toBe('"tenant";r=0;t=1')
  const { responses } = (await limited.send("/openapi.json")).body.paths["/products/{id}"].get
  for (const [name, { schema }] of Object.entries<{ schema: { pattern?: string } }>(responses[429].headers))
    expect(refused.headers.get(name)).toMatch(new RegExp(schema.pattern ?? /^\d+$/))
  expect((await limited.call(other, "GET", "/products/1")).status).toBe(200)
  clock += 1000
  expect((await limited.call(shop, "GET", "/products/1")).status).toBe(200)
  await limited.close()
})

test("a caller who asks too often is 429, whatever tenants the caller names", async () => {
  const limited = await world.serve({ callerRate: limitRate("caller", 2, { now: () => 0, capacity: 10 }) })
  const statuses = []
  for (let n = 0; n < 6; n++)
    statuses.push((await limited.call({ id: newTenantId() }, "GET", "/products/1")).status)
  expect(statuses).toEqual([404, 404, 404, 404, 429, 429])
  const { headers } = await limited.call({ id: newTenantId() }, "GET", "/products/1")
  expect(headers.get("ratelimit-policy")).toBe('"caller";q=4;w=2')
  await limited.close()
})

test("only configured origins may read answers, and only they are told what they may send", async () => {
  const preflight = (Origin: string) =>
    api.send("/products", { method: "OPTIONS", headers: { Origin, "Access-Control-Request-Method": "POST" } })
  const granted = await preflight("https://shop.example")
  expect(granted.status).toBe(204)
  expect(granted.headers.get("access-control-allow-origin")).toBe("https://shop.example")
  expect(granted.headers.get("access-control-allow-headers")).toContain("X-TenantId")
  for (const origin of [
    "https://evil.example",
    "https://shop.example.evil.example",
    "null",
    "https://shop.example:81",
  ])
    expect((await preflight(origin)).headers.get("access-control-allow-origin"), origin).toBeNull()
  const read = await api.call(shop, "GET", "/products/1", undefined, { Origin: "https://shop.example" })
  expect(read.headers.get("access-control-allow-origin")).toBe("https://shop.example")
  expect(read.headers.get("vary")).toMatch(/Origin/)
  expect(read.headers.get("access-control-expose-headers")).toContain("RateLimit, RateLimit-Policy")
  expect(read.headers.get("access-control-allow-credentials")).toBeNull()
})

test("no origin may read anything when none is configured", async () => {
  const closed = await world.serve()
  const answer = await closed.call(shop, "GET", "/products/1", undefined, { Origin: "https://shop.example" })
  expect(answer.headers.get("access-control-allow-origin")).toBeNull()
  await closed.close()
})

test("each answer carries the headers that keep a browser from doing more with it than show it", async () => {
  const plain = await world.serve()
  for (const served of [api, plain]) {
    for (const target of ["/livez", "/nothing", "/products", "/products/1", "/products/999999"]) {
      const { headers } = await served.call(shop, "GET", target)
      expect(headers.get("content-security-policy")).toContain("default-src 'self'")
      expect(headers.get("x-content-type-options")).toBe("nosniff")
      expect(headers.get("strict-transport-security")).toContain("max-age")
      expect(headers.get("x-powered-by")).toBeNull()
      expect(headers.get("x-request-id")).toMatch(/^[\da-f-]{36}$/)
    }
    for (const target of ["/products", "/products/1", "/products/999999"]) {
      const { headers } = await served.call(shop, "GET", target)
      expect(headers.get("cache-control")).toBe("no-store")
      expect(headers.get("vary")).toBe(`${served === api ? "Origin, " : ""}X-TenantId, Authorization`)
    }
    const { etag } = Object.fromEntries((await served.call(shop, "GET", "/products/1")).headers)
    const same = await served.call(shop, "GET", "/products/1", undefined, { "If-None-Match": etag! })
    expect([same.status, same.headers.get("x-content-type-options")]).toEqual([304, "nosniff"])
    expect(same.headers.get("vary")).toMatch(/X-TenantId, Authorization$/)
  }
  await plain.close()
})

test("with a template one credential serves all tenants of the folder, and the marker still says whose is whose", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "tenantry-tenants-"))
  const declare = (tenant: { id: string }, name: string, more = "") =>
    writeFile(path.join(folder, `${name}.yaml`), `id: ${tenant.id}\nname: ${name}\n${more}`)
  await declare(shop, "Shop", "hosts: [Shop.Brand.example]\n")
  await writeFile(path.join(folder, "broken.yaml"), "id: [")
  await world.admin.query("create role everybody login superuser password 'one-for-all'")
  const uri = new URL(shop.uri)
  const { readCredential, listTenants } = openTemplate({
    template: `postgres://everybody:one-for-all@${uri.host}/{database}`,
    fleet: FLEET,
    folder,
  })
  const templated = await world.serve({
    readVault: readCredential,
    listTenants,
    cache: { refused: { atMost: 0, recheck: 0 } },
  })
  expect((await templated.call(shop, "GET", "/products/1")).status).toBe(200)
  expect((await templated.call(other, "GET", "/products/1")).status).toBe(404)
  await declare(other, "Other", "suspended: true\n")
  expect((await templated.call(other, "GET", "/products/1")).status).toBe(403)
  const thief = { id: newTenantId() }
  await rm(path.join(folder, "Other.yaml"))
  await declare(thief, "Other")
  expect(await templated.call(thief, "GET", "/products/1")).toMatchObject({
    status: 503,
    body: { type: "/problems/database-mismatch" },
  })
  const files = (await listTenants()).map(({ name, hosts }: NamedTenant) => [name, hosts])
  expect(files).toEqual([
    ["Other", undefined],
    ["Shop", ["shop.brand.example"]],
  ])
  await rm(folder, { recursive: true })
  await expect(readCredential(shop.id)).rejects.toThrow(TransientError)
  await templated.close()
})
