/** Tracing by OpenTelemetry's variables: nothing where they name no endpoint, and passed on where they do. */
import { execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import path from "node:path"
import { afterAll, expect, test } from "vitest"
import { createLogger } from "../../reconciler/log.ts"
import { renderMetrics } from "../../reconciler/metrics.ts"
import { openCells } from "../../reconciler/providers/neon.ts"
import { observeRequests } from "../../reconciler/providers/vault-calls.ts"
import { inSpan } from "../../reconciler/spans.ts"
import { startTracing } from "../../reconciler/tracing.ts"
import { startCollector } from "./collector.ts"
import { startGrpcCollector } from "./grpc-collector.ts"
import { parseSeries, sumOf } from "./series.ts"

const TRACING = path.resolve(import.meta.dirname, "../../reconciler/tracing.ts")

/** What `startTracing` loads of OpenTelemetry's SDK in a process of its own, and what it logs. */
function load(environment: Record<string, string>): { files: number; logged: string } {
  const program = `
    import { createRequire } from "node:module"
    import { startTracing } from ${JSON.stringify(TRACING)}
    const logged = []
    const write = (fields, message) => logged.push(message)
    await startTracing("test", { error: write, debug: write })
    const files = Object.keys(createRequire(${JSON.stringify(TRACING)}).cache)
    console.log(JSON.stringify({ files: files.filter((file) => /opentelemetry.(?:sdk|exporter)/.test(file)).length, logged: logged.join() }))
    process.exit()`
  const options = { env: { PATH: process.env["PATH"]!, ...environment }, encoding: "utf8" } as const
  const output = execFileSync(process.execPath, ["--input-type=module", "-e", program], options)
  return JSON.parse(output) as { files: number; logged: string }
}

const ON = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9" }

test("without an endpoint, or switched off, nothing of the SDK is loaded; with one it is", () => {
  expect(load({})).toEqual({ files: 0, logged: "" })
  expect(load({ ...ON, OTEL_SDK_DISABLED: "true" }).files).toBe(0)
  expect(load({ ...ON, OTEL_TRACES_EXPORTER: "none" }).files).toBe(0)
  const { files, logged } = load(ON)
  expect(files).toBeGreaterThan(10)
  expect(logged).toBe("traces are sent")
})

test("a protocol that is not there is said, and traces are not sent", () => {
  const { files, logged } = load({ ...ON, OTEL_EXPORTER_OTLP_PROTOCOL: "zipkin" })
  expect([files, logged]).toEqual([
    0,
    "traces are not sent: set OTEL_EXPORTER_OTLP_PROTOCOL to one that is known",
  ])
})

test("by gRPC, the only protocol of Azure's own agent, a span arrives with the service that made it", async () => {
  const agent = await startGrpcCollector()
  const program = `
    import { inSpan } from ${JSON.stringify(path.resolve(TRACING, "../spans.ts"))}
    import { startTracing } from ${JSON.stringify(TRACING)}
    const end = await startTracing("tenantry-test", { error: console.error, debug() {} })
    await inSpan("sent by gRPC", {}, async () => {})
    await end()`
  const environment = { OTEL_EXPORTER_OTLP_ENDPOINT: agent.url, OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" }
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
    env: { PATH: process.env["PATH"]!, ...environment },
    stdio: ["ignore", "ignore", "inherit"],
  })
  try {
    expect(await once(child, "close")).toEqual([0, null])
    expect(agent.received()).toContain("sent by gRPC")
    expect(agent.received()).toContain("tenantry-test")
  } finally {
    agent.close()
  }
})

const collector = await startCollector()
afterAll(() => collector.close())

test("calls carry the trace on to Neon and to Key Vault, and a failure is in the span without its credential", async () => {
  const seen: (string | undefined)[] = []
  const server = createServer((request, response) => {
    seen.push(request.headers["traceparent"] as string | undefined)
    response.writeHead(200, { "content-type": "application/json" }).end('{"databases":[]}')
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  Object.assign(process.env, {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
  })
  const end = await startTracing(
    "tenantry-test",
    createLogger("test", () => {}),
  )
  const [neon] = openCells(
    {
      apiUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/v2`,
      apiKey: "napi_0123456789",
      cells: [{ projectId: "p", branchId: "b" }],
      owner: "o",
      pollInterval: 10,
      requestsPerSecond: 1000,
    },
    { signal: undefined },
  )
  const headers = new Map<string, string>()
  const request = { method: "GET", url: "https://vault.example/secrets/tenant-x/?api", headers } as never
  await inSpan("outer", {}, async () => {
    await neon!.list()
    await observeRequests().sendRequest(request, () => Promise.resolve({ status: 200 } as never))
    await inSpan("broken", {}, () => Promise.reject(new Error("no postgres://u:s3cr3t-w0rd@h/d"))).catch(
      () => {},
    )
  })
  await end()
  server.closeAllConnections()
  server.close()
  const { spans, bodies } = collector
  const trace = spans.find(({ name }) => name === "outer")!.traceId
  const idOf = (name: string) => spans.find((span) => span.name === name)!.spanId
  expect(seen).toEqual([`00-${trace}-${idOf("neon listDatabases")}-01`])
  expect(headers.get("traceparent")).toBe(`00-${trace}-${idOf("vault getSecret")}-01`)
  expect(spans.find(({ name }) => name === "broken")).toMatchObject({
    isError: true,
    service: "tenantry-test",
  })
  expect(bodies.join()).toContain("postgres://u:***@h/d")
  expect(bodies.join()).not.toContain("s3cr3t-w0rd")
})

test("a request to the vault that is sent again is a retry with the status of before; the first challenge is none", async () => {
  const policy = observeRequests()
  const answers = [401, 429, 503, 200]
  const request = {
    method: "PUT",
    url: "https://vault.example/secrets/tenant-x?api",
    headers: new Map(),
  } as never
  for (const status of answers) await policy.sendRequest(request, () => Promise.resolve({ status } as never))
  const series = parseSeries((await renderMetrics()).text)
  const calls = (status: string) => sumOf(series, "tenantry_calls_total", { operation: "setSecret", status })
  const retries = (status: string) =>
    sumOf(series, "tenantry_call_retries_total", { system: "vault", status })
  expect(["401", "429", "503", "200"].map(calls)).toEqual([1, 1, 1, 1])
  expect(["401", "429", "503"].map(retries)).toEqual([0, 1, 1])
})
