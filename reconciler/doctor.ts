/** Looks at all that the reconciler needs, one thing after the other, and goes on where one is missing. Writes nothing. */
import { existsSync } from "node:fs"
import { type Config, readConfig } from "./config.ts"
import { readTenants } from "./desired.ts"
import { TerminalError, TransientError } from "./errors.ts"
import { readFleet } from "./fleet.ts"
import { readMigrations } from "./migrations.ts"
import type { CellConfig } from "./providers/neon.ts"
import { reach } from "./providers/reach.ts"
import { readServerFacts } from "./providers/server-facts.ts"
import { assertMayWrite } from "./providers/vault-rights.ts"
import { cellNamed, MAINTENANCE_DATABASE, openWorld, ownerUris, type World } from "./world.ts"

export type Finding = {
  what: string
  verdict: "ok" | "warning" | "problem"
  /** What was found, and where it is no "ok", what to do about it. */
  said: string
}

/** Milliseconds. A second is what a Date header leaves open; tokens of Azure's bear five minutes. */
const SKEW = { warning: 5000, problem: 300_000 }
const NODE = 24

/** `versions`: of Tenantry and of Node. */
export async function examine(
  environment: NodeJS.ProcessEnv,
  versions: { tenantry: string; node: string },
): Promise<Finding[]> {
  const node = checkNode(versions)
  const config = checkEnvironment(environment)
  const files = await checkFiles(environment)
  const status = await checkReconciler(environment["STATUS_PORT"] ?? "3001")
  if (!("config" in config)) return [node, ...config.findings, ...files, status]
  const world = openWorld(config.config)
  const systems = await Promise.all([checkNeon(config.config, world), checkVault(config.config, world)])
  return [node, { what: "environment", verdict: "ok", said: "complete" }, ...files, ...systems.flat(), status]
}

function checkNode({ tenantry, node }: { tenantry: string; node: string }): Finding {
  const said = `Tenantry ${tenantry} on Node ${node}`
  if (Number(node.split(".")[0]) >= NODE) return { what: "versions", verdict: "ok", said }
  return {
    what: "versions",
    verdict: "problem",
    said: `${said}: Node ${NODE} is needed; after "npm ci", "npx tenantry" uses the right one`,
  }
}

function checkEnvironment(environment: NodeJS.ProcessEnv): { config: Config } | { findings: Finding[] } {
  try {
    return { config: readConfig(environment) }
  } catch (error) {
    if (!(error instanceof TerminalError)) throw error
    const lines = error.message.split("\n").map((line) => line.replace(/^environment: /, ""))
    return { findings: lines.map((said) => ({ what: "environment", verdict: "problem", said })) }
  }
}

/** Runs one check; an error of ours is its problem. */
async function check(what: string, run: () => Promise<string | Finding>): Promise<Finding> {
  try {
    const found = await run()
    return typeof found === "string" ? { what, verdict: "ok", said: found } : found
  } catch (error) {
    if (!(error instanceof TerminalError || error instanceof TransientError)) throw error
    return { what, verdict: "problem", said: error.message.split("\n").join("; ") }
  }
}

const checkFiles = (environment: NodeJS.ProcessEnv): Promise<Finding[]> => {
  const {
    FLEET_FILE = "./fleet.yaml",
    TENANTS_DIR = "./tenants",
    MIGRATIONS_DIR = "./migrations",
  } = environment
  return Promise.all([
    check(
      "fleet file",
      async () => `${FLEET_FILE} declares the fleet ${(await readFleet(FLEET_FILE)).fleet}`,
    ),
    check("tenants", async () => {
      const { tenants, problems } = await readTenants(TENANTS_DIR)
      if (problems.length === 0) return `${TENANTS_DIR} declares ${tenants.length}`
      const said = `${TENANTS_DIR} has faults (${problems.length}): "tenantry validate" names them`
      return { what: "tenants", verdict: "problem", said }
    }),
    check("migrations", async () => {
      if (!existsSync(MIGRATIONS_DIR))
        throw new TerminalError("NoMigrations", `${MIGRATIONS_DIR} is away: check MIGRATIONS_DIR`)
      return `${MIGRATIONS_DIR} makes ${(await readMigrations(MIGRATIONS_DIR)).version}`
    }),
  ])
}

async function checkNeon({ neon }: Config, world: World): Promise<Finding[]> {
  const what = "Neon"
  const reached = await reaching(what, neon.apiUrl, "NEON_API_URL")
  if (reached.some(({ verdict }) => verdict === "problem")) return reached
  const cells = await Promise.all(neon.cells.map((cell) => checkCell(cell, neon, world)))
  return [...reached, ...cells.flat()]
}

/** One branch: whether its databases can be listed, and what the owner may do there. */
async function checkCell(
  { projectId, branchId }: CellConfig,
  { cells, owner }: Config["neon"],
  world: World,
): Promise<Finding[]> {
  let existing: string | undefined
  const of = cells.length > 1 ? ` of ${projectId}` : ""
  const what = `Neon: rights${of}`
  const listed = await check(what, async () => {
    const names = await cellNamed(world, projectId).list()
    existing = names[0]
    if (existing) return `branch ${branchId} has ${names.length} databases`
    const said = `branch ${branchId} has no database at all: create one, such as neondb, for the reconciler to connect to`
    return { what, verdict: "problem", said }
  })
  const database = existing
  if (!database) return [listed]
  const server = `Postgres${of}`
  const postgres = await check(server, async () => {
    const uri = await ownerUris(world)(projectId).direct(database, MAINTENANCE_DATABASE)
    const facts = await readServerFacts(uri)
    const lacking = [
      ...(facts.mayCreateDatabases ? [] : ["CREATEDB"]),
      ...(facts.mayCreateRoles ? [] : ["CREATEROLE"]),
    ]
    const clock = judgeClock(server, facts.now - Date.now())
    if (clock.verdict !== "ok") return clock
    const said = `Postgres ${facts.version}, as ${owner}`
    if (lacking.length === 0) return said
    const remedy = `${said}, who lacks ${lacking.join(" and ")}: NEON_DATABASE_OWNER must be a role that Neon's API or console made`
    return { what: server, verdict: "problem", said: remedy }
  })
  return [listed, postgres]
}

async function checkVault({ vaultUrl }: Config, world: World): Promise<Finding[]> {
  const what = "Key Vault"
  const reached = await reaching(what, vaultUrl, "KEY_VAULT_URL")
  if (reached.some(({ verdict }) => verdict === "problem")) return reached
  const rights = `${what}: rights`
  const listed = await check(rights, async () => `may list: ${(await world.vault.list()).length} secrets`)
  if (listed.verdict === "problem") return [...reached, listed]
  const written = await check(rights, async () => {
    await assertMayWrite(vaultUrl)
    return "may write and delete secrets of tenants"
  })
  return [...reached, listed, written]
}

/** Whether it answers, and what its clock says. */
async function reaching(what: string, url: string, variable: string): Promise<Finding[]> {
  try {
    const { ms, skew } = await reach(url)
    const answer: Finding = { what, verdict: "ok", said: `${new URL(url).host} answers after ${ms} ms` }
    return skew === undefined ? [answer] : [answer, judgeClock(what, skew)]
  } catch (error) {
    if (!(error instanceof TransientError)) throw error
    const said = `${error.message}: check ${variable}, the network, and the certificates that Node trusts (NODE_EXTRA_CA_CERTS)`
    return [{ what, verdict: "problem", said }]
  }
}

/** `skew`: how far that clock is ahead of ours, in milliseconds. */
export function judgeClock(whose: string, skew: number): Finding {
  const what = `${whose}: clock`
  const size = Math.abs(skew)
  if (size < SKEW.warning) return { what, verdict: "ok", said: "agrees with this machine's" }
  const said = `is ${Math.round(size / 1000)} s ${skew > 0 ? "ahead of" : "behind"} this machine's: set this machine's clock by NTP; approvals, grace periods and tokens depend on it`
  return { what, verdict: size < SKEW.problem ? "warning" : "problem", said }
}

const checkReconciler = (port: string): Promise<Finding> =>
  check("reconciler", async () => {
    try {
      const response = await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(2000) })
      await response.body?.cancel()
      if (response.ok) return `runs here, on port ${port}`
      const said = `runs here, on port ${port}, and its last pass failed: "tenantry status" says why`
      return { what: "reconciler", verdict: "warning", said }
    } catch {
      return `none runs here on port ${port}, which is fine where it runs elsewhere`
    }
  })
