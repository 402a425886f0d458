/** The whole system, seen from outside: its page in a browser, its traces, its metrics, and no credential in any of it. */
import type { Browser, Page } from "playwright-core"
import { afterAll, beforeAll, expect, test } from "vitest"
import { eventually } from "../eventually.ts"
import { freePort } from "../free-port.ts"
import { useSystem } from "../system.ts"
import { findBarriers, findChromium, openBrowser } from "./browser.ts"
import { startCollector } from "./collector.ts"
import { parseSeries, sumOf } from "./series.ts"

const SHOPIFY = "78b0c444-49aa-4308-b35f-9ff530b31920"
const ACME = "0d3a4c1e-5f7b-4a89-b6c2-9e8d7f6a5b41"
const TRACE = "0af7651916cd43dd8448eb211c80319c"

const chromium = findChromium()
const collector = await startCollector()
const metricsPort = await freePort()
const system = useSystem({
  environment: {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
    OTEL_BSP_SCHEDULE_DELAY: "100",
    OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=test",
    METRICS_PORT: String(metricsPort),
  },
})
let browser: Browser | undefined
/** All that the status port has answered. */
const answered: string[] = []

beforeAll(async () => {
  await system.start()
  if (chromium) browser = await openBrowser(chromium)
}, 120_000)
afterAll(async () => {
  await browser?.close()
  await system.stop()
  collector.close()
})

const look = async (target: string): Promise<string> => {
  const text = await (await fetch(`http://127.0.0.1:${system.ports.status}${target}`)).text()
  answered.push(text)
  return text
}

test.skipIf(chromium === undefined)(
  "the page shows the three tenants, and one more as soon as its file is there",
  async () => {
    const page: Page = await browser!.newPage()
    const troubles: string[] = []
    page.on("console", (message) => message.type() === "error" && troubles.push(message.text()))
    await page.goto(`http://127.0.0.1:${system.ports.status}/`)
    const rows = () => page.locator("tbody tr").allTextContents()
    const names = () => page.locator("tbody a").allTextContents()
    await expect.poll(names).toEqual(["Globex", "Northwind", "Shopify"])
    expect(await findBarriers(page)).toEqual([])
    await system.save("acme.yaml", `id: ${ACME}\nname: Acme\nseed: demo\n`)
    await expect.poll(names, { timeout: 20_000 }).toEqual(["Acme", "Globex", "Northwind", "Shopify"])
    await expect
      .poll(rows, { timeout: 20_000 })
      .toContainEqual(expect.stringMatching(/^Acme✓ ReadyServedactive0\d{3}/))
    await page.getByRole("link", { name: "Acme" }).click()
    await expect.poll(() => page.locator("tbody").textContent()).toMatch(/tenant created.*file added/)
    expect(troubles).toEqual([])
  },
)

test("a pass is one trace, with a span for each action and each call, and the tenant's id", async () => {
  await system.save("acme.yaml", `id: ${ACME}\nname: Acme2\nseed: demo\n`)
  await eventually("the pass that renames or makes Acme is traced", () => {
    const published = collector.spans.find(
      ({ name, attributes }) => name === "action publish" && attributes["tenantry.tenant.name"] === "Acme2",
    )
    const spans = collector.spans.filter(({ traceId }) => traceId === published?.traceId)
    const root = spans.find(({ parentSpanId }) => !parentSpanId)
    expect(root).toMatchObject({ name: "pass", service: "tenantry-reconciler", isError: false })
    expect(published!.parentSpanId).toBe(root!.spanId)
    expect(published!.attributes).toMatchObject({ "tenantry.tenant.id": ACME, "tenantry.action": "publish" })
    // A pass that makes Acme writes its secret once before, to reserve it.
    const calls = spans.filter(
      ({ name, parentSpanId }) => name.startsWith("vault ") && parentSpanId === published!.spanId,
    )
    expect(calls).toMatchObject([{ name: "vault setSecret", attributes: { "tenantry.status": "200" } }])
    expect(spans.map(({ name }) => name)).toEqual(
      expect.arrayContaining(["neon listDatabases", "vault listSecrets", "postgres session"]),
    )
  })
})

test("a request goes on with its caller's trace, and its span names route, tenant and outcome", async () => {
  await fetch(`http://127.0.0.1:${system.ports.api}/products/1`, {
    headers: { "X-TenantId": SHOPIFY, traceparent: `00-${TRACE}-b7ad6b7169203331-01` },
  })
  await eventually("the request is traced", () => {
    const spans = collector.spans.filter(({ traceId }) => traceId === TRACE)
    const served = spans.find(({ parentSpanId }) => parentSpanId === "b7ad6b7169203331")
    expect(served).toMatchObject({
      name: "GET /products/:id",
      service: "tenantry-api",
      attributes: { "tenantry.tenant.id": SHOPIFY, "http.response.status_code": 200 },
    })
  })
})

test("metrics of both processes are had, and name no tenant", async () => {
  const api = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text()
  const reconciler = await look("/metrics")
  expect(sumOf(parseSeries(api), "tenantry_api_requests_total")).toBeGreaterThan(0)
  expect(sumOf(parseSeries(reconciler), "tenantry_tenants")).toBe(4)
  for (const text of [api, reconciler]) {
    expect(text).not.toContain(SHOPIFY)
    expect(text).not.toContain("Shopify")
    expect(text).toContain("process_resident_memory_bytes")
  }
})

test("the command line shows the same", async () => {
  const { output } = await system.run(["npx", "tenantry", "status"])
  expect(output).toMatch(/Shopify +Ready +Served/)
})

test("no credential of the world is in what was answered, traced or printed", async () => {
  for (const target of ["/status.json", "/events.json", "/metrics", `/tenants/${ACME}.json`, "/"])
    await look(target)
  const credentials = await system.credentials()
  expect(credentials.length).toBeGreaterThan(5)
  const everything = [...answered, ...collector.bodies, system.printed()].join("\n")
  expect(everything).toContain("Acme")
  expect(credentials.filter((credential) => everything.includes(credential))).toEqual([])
})
