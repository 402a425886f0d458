/**
 * npm start: the whole system on this machine. A real Postgres, stand-ins for the Neon API and for Key Vault in this
 * process, and the reconciler and the API as processes of their own, started by the entry points that production uses.
 */
import { once } from "node:events"
import { access } from "node:fs/promises"
import { createServer } from "node:net"
import path from "node:path"
import { randomBytes } from "node:crypto"
import { parseArgs } from "node:util"
import {
  claimHome,
  countCells,
  homeDirectory,
  postgresDirectory,
  releaseHome,
  vaultDirectory,
  writeEnvironment,
} from "./home.ts"
import { startKeptIssuer } from "./issuer.ts"
import { createNarrator } from "./narrator.ts"
import { startNeon } from "./neon.ts"
import { startPart } from "./part.ts"
import { type Postgres, startPostgres } from "./postgres.ts"
import { startVault } from "./vault.ts"

const started = performance.now()
const since = (begin: number) => `${((performance.now() - begin) / 1000).toFixed(1)} s`
const root = path.resolve(import.meta.dirname, "..")
const port = process.env["PORT"] ?? "3000"
const statusPort = process.env["STATUS_PORT"] ?? "3001"
const tenantsDir = process.env["TENANTS_DIR"] ?? "tenants"
const migrationsDir = process.env["MIGRATIONS_DIR"] ?? "migrations"

/** What was asked for on the command line. Each cell is a Postgres on this machine; where nothing is said, as many as there are. */
let settings: { hasAuth: boolean; cells?: number } = { hasAuth: false }
/** The local world is for this machine only. */
const LOOPBACK = "127.0.0.1"
/** Tenants that are listed when all is up; the status page has the rest. */
const SHOWN = 20

/** A token for the status page, where one is needed. */
let administrator: string | undefined
/** In the order of their start; ended in the opposite order. */
const endings: { name: string; end: () => Promise<unknown> }[] = []
const narrator = createNarrator(process.stdout)
let isEnding = false
let endingSince = 0

// Whoever reads our output may stop reading; the world goes on.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {})
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => void finish(0))

try {
  await main()
} catch (error) {
  if (!isEnding) {
    process.stderr.write(`tenantry: ${(error as Error).message}\n`)
    await finish(1)
  }
}

async function main(): Promise<void> {
  settings = readArguments()
  const home = homeDirectory()
  await access(tenantsDir).catch(() => {
    throw new Error(
      `there is no tenants folder ${tenantsDir}: start in the project's folder, or set TENANTS_DIR`,
    )
  })
  await claimHome(home)
  const cells = await countCells(home)
  settings.cells ??= cells
  if (settings.cells < cells)
    throw new Error(
      `${relative(home)} holds ${cells} cells, and the tenants in them: start with --cells ${cells} or without it, or npm run reset`,
    )
  endings.push({ name: "home", end: () => releaseHome(home) })
  await Promise.all([assertFree("PORT", port), assertFree("STATUS_PORT", statusPort)])

  const begun = performance.now()
  const numbers = Array.from({ length: settings.cells }, (_, index) => index + 1)
  const [vault, ...servers] = await Promise.all([
    startVault({ directory: vaultDirectory(home), irregularPages: 0 }),
    ...numbers.map((cell) => startPostgres({ directory: postgresDirectory(home, cell) })),
  ])
  endings.push({ name: "vault", end: vault.close })
  for (const server of servers) keep(server, since(begun))

  const apiKey = `napi_local_${randomBytes(24).toString("hex")}`
  const [postgres, ...others] = servers
  const neon = await startNeon({
    postgres: postgres!,
    others: others.map((server, index) => ({
      postgres: server,
      projectId: `tenantry-local-${index + 2}`,
      branchId: `br-tenantry-local-${index + 2}`,
    })),
    apiKey,
    operationMs: 100,
  })
  endings.push({ name: "neon", end: neon.close })
  narrator.say(part("neon api", neon.url, "stand-in"))
  narrator.say(part("key vault", vault.url, "stand-in"))

  const environment: Record<string, string> = {
    NEON_API_URL: neon.url,
    NEON_API_KEY: apiKey,
    NEON_PROJECT_ID: neon.projectId,
    NEON_BRANCH_ID: neon.branchId,
    ...(others.length > 0
      ? {
          NEON_CELLS: neon.projects
            .slice(1)
            .map(({ projectId, branchId }) => `${projectId}/${branchId}`)
            .join(","),
        }
      : {}),
    NEON_DATABASE_OWNER: neon.owner,
    // The stand-ins are quicker than Neon and Key Vault, and nobody else uses them.
    NEON_REQUESTS_PER_SECOND: "500",
    VAULT_WRITES_PER_SECOND: "500",
    RECONCILE_INTERVAL: "5",
    DRAIN_SECONDS: "2",
    TENANTS_DIR: path.resolve(tenantsDir),
    PORT: port,
    STATUS_PORT: statusPort,
    STATUS_HOST: LOOPBACK,
    ...vault.environment("reconciler"),
  }
  const file = await writeEnvironment(home, environment)

  const auth = await authentication(home)
  startOurs("api", path.join(root, "api/main.ts"), [], {
    PORT: port,
    HOST: LOOPBACK,
    TENANTS_DIR: path.resolve(tenantsDir),
    MIGRATIONS_DIR: migrationsDir,
    ...(process.env["METRICS_PORT"] ? { METRICS_PORT: process.env["METRICS_PORT"] } : {}),
    TENANT_FROM: "header,host,path",
    TENANT_HOST_SUFFIXES: "localhost",
    // The vault is at hand.
    NAMES_INTERVAL_MS: process.env["NAMES_INTERVAL_MS"] ?? "1000",
    ...auth,
    ...vault.environment("api"),
  })
  startOurs("reconciler", path.join(root, "reconciler/main.ts"), ["run"], {
    ...environment,
    ...auth,
    TENANTS_DIR: tenantsDir, // as it was given, so that messages name files as the user does
    FLEET_FILE: process.env["FLEET_FILE"] ?? "fleet.yaml",
    MIGRATIONS_DIR: migrationsDir,
  })
  await narrator.heard("reconciler", "reconciler is watching")
  narrator.say(
    part("reconciler", `http://localhost:${statusPort}`, `watches ${tenantsDir.replace(/\/*$/, "/")}`),
  )
  await narrator.heard("api", "api is listening")
  narrator.say(part("api", `http://localhost:${port}`))
  await narrator.heard("reconciler", "first passes are over")
  await introduce()
  const how = process.env["TENANTRY_HOME"] ? " with the same TENANTRY_HOME" : ""
  narrator.say(`\nIts environment is in ${relative(file)}; in a second terminal${how}: npx tenantry status`)
  narrator.say(`tenantry is ready after ${since(started)}. Ctrl-C stops it, and the data stays.`)
}

/** The cell's server is ended with the system, and the system with it. */
function keep(postgres: Postgres, took: string): void {
  endings.push({ name: "postgres", end: postgres.stop })
  void postgres.exited.then(
    () => isEnding || fail("Postgres has ended unasked; start again, the data is safe"),
  )
  narrator.say(part("postgres", `postgres://${postgres.host}:${postgres.port}`, `Postgres 18, ${took}`))
}

function readArguments(): typeof settings {
  const options = { auth: { type: "boolean" }, cells: { type: "string" } } as const
  const { auth = false, cells } = parseArgs({ options }).values
  if (cells === undefined) return { hasAuth: auth }
  if (/^[1-9]$/.test(cells)) return { hasAuth: auth, cells: Number(cells) }
  throw new Error(`--cells must be a whole number from 1 to 9, and it is "${cells}"`)
}

/** With --auth a development issuer; without it the API believes everybody, on loopback and with sample data. */
async function authentication(home: string): Promise<Record<string, string>> {
  if (!settings.hasAuth) return { AUTH: "off" }
  const issuer = await startKeptIssuer(home)
  endings.push({ name: "issuer", end: issuer.close })
  administrator = issuer.mint({ sub: "npm start", scope: "tenants:admin" })
  narrator.say(part("issuer", issuer.url, "npm run token -- --tenant shopify"))
  return issuer.environment
}

function part(name: string, address: string, note = ""): string {
  return `${name.padEnd(12)}${address}${note ? `  (${note})` : ""}`
}

function relative(file: string): string {
  return path.relative(process.cwd(), file) || "."
}

function startOurs(name: string, entry: string, args: string[], environment: Record<string, string>): void {
  const running = startPart({
    entry,
    arguments: args,
    environment,
    hear: (line) => narrator.hear(name, line),
    fell: (how) => narrator.say(`  ! the ${name} ended (${how}) and is started again`),
    gaveUp: () => fail(`the ${name} ends again and again; its last lines are above`),
  })
  endings.push({ name, end: running.stop })
}

/** Lists the tenants, and a command to try that has been tried. */
async function introduce(): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${statusPort}/status.json`, {
    headers: administrator ? { authorization: `Bearer ${administrator}` } : {},
  })
  const { tenants } = (await response.json()) as {
    tenants: { id: string; name: string; condition: string; state: string; database?: string }[]
  }
  narrator.say("")
  for (const { name, condition, state, database = "" } of tenants.slice(0, SHOWN)) {
    narrator.say(`  ${name.padEnd(20)} ${condition.padEnd(12)} ${state.padEnd(10)} ${database}`)
  }
  if (tenants.length > SHOWN) narrator.say(`  … and ${tenants.length - SHOWN} more`)
  const served = tenants
    .filter(({ condition, state }) => condition === "Ready" && state === "active")
    .slice(0, 5)
  const counts = await Promise.all(served.map(({ id }) => countProducts(id)))
  const example = served[counts.findIndex((count) => count > 0)] ?? served[0]
  if (!example) return
  const signedIn = settings.hasAuth
    ? ` -H "Authorization: Bearer $(npm run -s token -- --tenant ${example.name.toLowerCase()})"`
    : ""
  const target = `'http://localhost:${port}/products?limit=3'`
  narrator.say(`\nTry:  curl -H 'X-TenantId: ${example.id}'${signedIn} ${target}`)
}

async function countProducts(tenant: string): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${port}/products?limit=1`, {
    headers: { "X-TenantId": tenant },
  })
  return answer.ok ? ((await answer.json()) as { items: unknown[] }).items.length : 0
}

async function assertFree(variable: string, number: string): Promise<void> {
  if (!/^\d{1,5}$/.test(number) || Number(number) > 65_535) {
    throw new Error(`${variable} must be a port from 0 to 65535, and it is "${number}"`)
  }
  const probe = createServer()
  probe.listen(Number(number))
  const error = await Promise.race([once(probe, "listening").then(() => undefined), once(probe, "error")])
  probe.close()
  if (error) throw new Error(`port ${number} is in use: stop what uses it, or set ${variable} to a free one`)
}

function fail(message: string): void {
  process.stderr.write(`tenantry: ${message}\n`)
  void finish(1)
}

/** Ends the parts in the opposite order of their start. A second Ctrl-C does not wait for them. */
async function finish(code: number): Promise<void> {
  // npm hands a Ctrl-C on to us that the terminal has sent us too: both are one.
  if (isEnding && performance.now() - endingSince < 1000) return
  if (isEnding) process.exit(code || 130)
  isEnding = true
  endingSince = performance.now()
  const hasStarted = endings.length > 1
  if (hasStarted) narrator.say("stopping …")
  for (const { name, end } of endings.toReversed()) {
    await end().catch((error: unknown) =>
      process.stderr.write(`tenantry: ${name} did not stop: ${String(error)}\n`),
    )
  }
  if (hasStarted) narrator.say("stopped; the data is kept")
  process.exit(code)
}
