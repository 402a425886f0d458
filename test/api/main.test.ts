import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises"
import { request } from "node:https"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import path from "node:path"
import { createInterface } from "node:readline"
import { text } from "node:stream/consumers"
import { afterAll, beforeAll, expect, test } from "vitest"
import { startKeptIssuer } from "../../local/issuer.ts"
import { startVault, type VaultServer } from "../../local/vault.ts"
import { secretName } from "../../reconciler/tenant.ts"
import { parseSeries, sumOf } from "../see/series.ts"
import { startProxy } from "./proxy.ts"
import { FLEET, newTenantId, startWorld, type TestTenant, type World } from "./world.ts"

const MAIN = path.resolve(import.meta.dirname, "../../api/main.ts")

const TOKEN = path.resolve(import.meta.dirname, "../../local/token.ts")

let world: World
let vault: VaultServer
let directory: string
let shop: TestTenant

beforeAll(async () => {
  world = await startWorld()
  directory = await mkdtemp(path.join(tmpdir(), "tenantry-vault-"))
  vault = await startVault({ directory })
  shop = await world.addTenant("Shop", { seed: true })
  await writeSecret(shop, { state: "active", value: shop.uri })
}, 60_000)
afterAll(async () => {
  await vault?.close()
  await rm(directory, { recursive: true, force: true })
  await world?.close()
})

/** Writes a tenant's secret as the reconciler's identity may. */
async function writeSecret(tenant: TestTenant, { state, value }: { state: string; value: string }) {
  const { endpoint, header, clients } = vault.identity
  const query = `api-version=2019-08-01&resource=https://vault.azure.net&client_id=${clients.reconciler}`
  const token = await fetch(`${endpoint}?${query}`, { headers: { "X-IDENTITY-HEADER": header } })
  const { access_token } = (await token.json()) as { access_token: string }
  const tags = {
    "managed-by": "tenantry",
    fleet: FLEET,
    tenant: "Shop",
    cell: "main",
    database: tenant.database,
    state,
    schema: "1",
    slot: "a",
  }
  const isNew = state === "active"
  const put = request(
    `${vault.url}/secrets/${secretName(tenant.id)}${isNew ? "" : "/"}?api-version=2026-04-01`,
    {
      method: isNew ? "PUT" : "PATCH",
      ca: await readFile(vault.caFile),
      headers: { "Content-Type": "application/json", Authorization: `Bearer ${access_token}` },
    },
  )
  put.end(JSON.stringify({ ...(isNew ? { value } : {}), tags, attributes: { enabled: isNew } }))
  const [response] = await once(put, "response")
  expect(response.statusCode, await text(response)).toBe(200)
}

/** The production entry point as a process; `log` grows with each line of its standard error. */
async function start(environment: Record<string, string | undefined> = {}) {
  const child = spawn(process.execPath, [MAIN], {
    env: {
      PATH: process.env["PATH"]!,
      PORT: "0",
      HOST: "127.0.0.1",
      AUTH: "off",
      ...vault.environment("api"),
      ...environment,
    },
    stdio: ["ignore", "pipe", "pipe"],
  })
  const log: Record<string, unknown>[] = []
  const output = text(child.stdout)
  const lines = createInterface({ input: child.stderr })
  lines.on("line", (line) => log.push(JSON.parse(line)))
  const ended = once(child, "close").then(([code]) => code as number | null)
  const listening = () => log.find(({ msg }) => msg === "api is listening")
  await expect.poll(() => listening() ?? child.exitCode, { timeout: 30_000 }).toBeTruthy()
  const url = `http://127.0.0.1:${String(listening()?.["port"])}`
  const metricsUrl = `http://127.0.0.1:${String(listening()?.["metricsPort"])}/metrics`
  return { child, log, output, ended, url, metricsUrl }
}

test("with one credential for all a tenant that is suspended is refused soon, though it is asked for all the time", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "tenantry-tenants-"))
  const declare = (more: string) =>
    writeFile(path.join(folder, "shop.yaml"), `id: ${shop.id}\nname: Shop\n${more}`)
  await declare("")
  await world.admin.query("create role one_for_all login superuser password 'one-for-all'")
  const { host } = new URL(shop.uri)
  const api = await start({
    KEY_VAULT_URL: undefined,
    CONNECTION_TEMPLATE: `postgres://one_for_all:one-for-all@${host}/{database}`,
    FLEET_ID: FLEET,
    TENANTS_DIR: folder,
    NAMES_INTERVAL_MS: "100",
  })
  const status = async () =>
    (await fetch(`${api.url}/products/1`, { headers: { "X-TenantId": shop.id } })).status
  expect(await status()).toBe(200)
  await declare("suspended: true\n")
  await expect.poll(status, { timeout: 20_000 }).toBe(403)
  api.child.kill("SIGTERM")
  expect(await api.ended).toBe(0)
  await rm(folder, { recursive: true })
})

test("the process serves by a secret in Key Vault, and says nothing but JSON", async () => {
  const api = await start({ METRICS_PORT: "0" })
  const found = await fetch(`${api.url}/products/1`, { headers: { "X-TenantId": shop.id } })
  expect([found.status, await found.json()]).toMatchObject([200, { id: 1, price: 1199 }])
  expect((await fetch(`${api.url}/readyz`)).status).toBe(200)
  const unknown = await fetch(`${api.url}/products`, { headers: { "X-TenantId": newTenantId() } })
  expect(unknown.status).toBe(404)
  await fetch(`${api.url}/products/2`, { headers: { "X-TenantId": shop.id } })
  const metrics = await (await fetch(api.metricsUrl)).text()
  const sum = (name: string, labels?: Record<string, string>) => sumOf(parseSeries(metrics), name, labels)
  const route = "/products/:id"
  expect(sum("tenantry_api_requests_total", { method: "GET", route, status: "200" })).toBe(2)
  expect(sum("tenantry_api_request_duration_seconds_count", { method: "GET", route })).toBe(2)
  expect(sum("tenantry_api_refusals_total", { reason: "tenant-not-found" })).toBe(1)
  expect(sum("tenantry_pool_connections_idle")).toBe(1)
  expect(sum("tenantry_pool_connections_max")).toBe(80)
  expect(sum("tenantry_pool_wait_seconds_count")).toBe(2)
  expect(sum("tenantry_credential_reads_total", { outcome: "miss" })).toBe(2)
  expect(sum("tenantry_credential_reads_total", { outcome: "hit" })).toBeGreaterThan(2)
  expect(sum("tenantry_credentials_held")).toBe(2)
  expect(sum("tenantry_calls_total", { system: "vault", operation: "getSecret", status: "404" })).toBe(2)
  expect(metrics).not.toContain(shop.id)
  expect((await fetch(`${api.url}/metrics`)).status).toBe(404)
  api.child.kill("SIGTERM")
  expect(await api.ended).toBe(0)
  expect(await api.output).toBe("")
  expect(JSON.stringify(api.log)).not.toContain(shop.password)
}, 60_000)

test.each([
  { kind: "throttled", status: 200 },
  { kind: "unavailable", status: 503 },
  { kind: "forbidden", status: 503 },
] as const)("a vault that is $kind makes /readyz $status", async ({ kind, status }) => {
  const api = await start()
  try {
    vault.faults.add({ kind, match: { route: "SecretGet" }, times: "always" })
    expect((await fetch(`${api.url}/readyz`)).status).toBe(status)
  } finally {
    vault.faults.clear()
    api.child.kill("SIGTERM")
    await api.ended
  }
})

test("a session begins while Key Vault is still asked for the secret", async () => {
  let hellos = ""
  const proxy = await startProxy(
    Number(new URL(shop.uri).port),
    (chunk) => (hellos += chunk.toString("latin1")),
  )
  const [early, late] = [await world.addTenant("Early"), await world.addTenant("Late")]
  for (const tenant of [early, late]) {
    const uri = new URL(tenant.uri)
    uri.port = String(proxy.port)
    await writeSecret(tenant, { state: "active", value: uri.href })
  }
  const api = await start()
  const call = ({ id }: TestTenant) =>
    fetch(`${api.url}/products`, { headers: { "X-TenantId": id } }).then(({ status }) => status)
  try {
    expect(await call(early)).toBe(200)
    vault.faults.add({
      kind: "held",
      match: { route: "SecretGet", name: secretName(late.id) },
      times: "always",
    })
    const status = call(late)
    await expect.poll(() => hellos, { timeout: 10_000 }).toContain(`\0${late.database}\0`)
    vault.faults.clear()
    expect(await status).toBe(200)
  } finally {
    vault.faults.clear()
    api.child.kill("SIGTERM")
    await api.ended
    proxy.close()
  }
}, 60_000)

test("told to end, it takes no new connection, finishes what runs, and exits 0", async () => {
  const api = await start()
  const port = Number(new URL(api.url).port)
  await fetch(`${api.url}/products/1`, { headers: { "X-TenantId": shop.id } })
  const blocker = await world.hold(shop.database, "lock table products in access exclusive mode")
  const running = fetch(`${api.url}/products/1`, { headers: { "X-TenantId": shop.id } })
  await expect.poll(() => world.waiters(shop.database)).toBe(1)
  api.child.kill("SIGTERM")
  await expect
    .poll(async () => {
      const socket = connect(port, "127.0.0.1")
      const refused = await Promise.race([
        once(socket, "connect").then(() => false),
        once(socket, "error").then(() => true),
      ]).catch(() => true)
      socket.destroy()
      return refused
    })
    .toBe(true)
  await blocker.release()
  expect((await running).status).toBe(200)
  expect(await api.ended).toBe(0)
  expect(api.log.map(({ msg }) => msg)).toContain("api has ended")
}, 60_000)

test("a tenant that is retired at the vault and closed at Postgres is 410 at once", async () => {
  const api = await start()
  const leaver = await world.addTenant("Leaver")
  const call = () =>
    fetch(`${api.url}/products`, { headers: { "X-TenantId": leaver.id } }).then(({ status }) => status)
  await writeSecret(leaver, { state: "active", value: leaver.uri })
  expect(await call()).toBe(200)
  await writeSecret(leaver, { state: "retired", value: leaver.uri })
  await world.admin.query(`alter role "tenant_${leaver.id}_a" nologin`)
  await world.admin.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${leaver.database}'`,
  )
  expect(await call()).toBe(410)
  api.child.kill("SIGTERM")
  expect(await api.ended).toBe(0)
}, 60_000)

test("names in paths and hosts are found through the tags of Key Vault", async () => {
  const api = await start({
    TENANT_FROM: "host,path",
    TENANT_HOST_SUFFIXES: "localhost",
    METRICS_PORT: "0",
    METRICS_TENANT_LABEL: "on",
  })
  const named = (await (await fetch(`${api.url}/t/SHOP/products/1`)).json()) as { id: number }
  expect(named.id).toBe(1)
  expect((await fetch(`${api.url}/t/nobody/products/1`)).status).toBe(404)
  const series = parseSeries(await (await fetch(api.metricsUrl)).text())
  expect(sumOf(series, "tenantry_api_requests_total", { tenant: shop.id })).toBe(1)
  const { items } = (await (await fetch(`${api.url}/tenants`)).json()) as {
    items: { name: string; id: string }[]
  }
  expect(items).toContainEqual(expect.objectContaining({ name: "Shop", id: shop.id, state: "active" }))
  api.child.kill("SIGTERM")
  expect(await api.ended).toBe(0)
}, 60_000)

test("without an issuer it does not start, and with AUTH=off it says loudly what that means", async () => {
  const closed = await start({ AUTH: "on" })
  expect(await closed.ended).toBe(2)
  expect(closed.log).toMatchObject([{ problem: expect.stringContaining("OIDC_ISSUER") }])
  const open = await start()
  expect(open.log).toContainEqual(
    expect.objectContaining({ level: "warn", msg: expect.stringContaining("AUTH=off") }),
  )
  open.child.kill("SIGTERM")
  expect(await open.ended).toBe(0)
}, 60_000)

test("with the development issuer a printed token opens its tenant, and no other", async () => {
  const home = await mkdtemp(path.join(tmpdir(), "tenantry-home-"))
  const issuer = await startKeptIssuer(home)
  const api = await start({ AUTH: "on", ...issuer.environment })
  const printed = spawn(process.execPath, [TOKEN, "--tenant", shop.id], {
    env: { PATH: process.env["PATH"]!, TENANTRY_HOME: home },
  })
  const token = (await text(printed.stdout)).trim()
  const ask = async (tenant: string) => {
    const headers = { "X-TenantId": tenant, Authorization: `Bearer ${token}` }
    return (await fetch(`${api.url}/products/1`, { headers })).status
  }
  expect([await ask(shop.id), await ask(newTenantId())]).toEqual([200, 403])
  expect((await stat(path.join(home, "issuer.json"))).mode & 0o777).toBe(0o600)
  await issuer.close()
  const again = await startKeptIssuer(home)
  expect(again.url).toBe(issuer.url)
  expect(await ask(shop.id)).toBe(200)
  api.child.kill("SIGTERM")
  expect(await api.ended).toBe(0)
  expect(JSON.stringify(api.log)).not.toContain(token.split(".")[2])
  await again.close()
  await rm(home, { recursive: true, force: true })
}, 60_000)

test("a wrong setting ends it with 2 and a line that names the setting", async () => {
  const api = await start({ PORT: "eighty", POOL_MAX: "0" })
  expect(await api.ended).toBe(2)
  expect(api.log.map(({ problem }) => problem)).toEqual([
    "PORT must be a whole number",
    "POOL_MAX must be from 1 to 100",
  ])
}, 60_000)
