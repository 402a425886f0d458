/**
 * npm run test:live: the contract suites, and the life of a tenant by the reconciler's own code, on the real Neon and the
 * real Key Vault. All that it makes is in a branch and under names that exist only for it, and is removed whatever
 * happens, Ctrl-C included. Without credentials it says that it did not run, and fails. "-- contracts" or "-- life" does
 * one of the two.
 */
import { randomBytes, randomUUID } from "node:crypto"
import { readConfig } from "../reconciler/config.ts"
import { keepSecret, redact } from "../reconciler/log.ts"
import { TenantId } from "../reconciler/tenant.ts"
import { planBranch } from "./live/branch.ts"
import { keepContracts } from "./live/contracts.ts"
import { liveALife } from "./live/life.ts"
import { removeSecrets } from "./live/secrets.ts"

const NEEDED = ["NEON_API_KEY", "NEON_PROJECT_ID", "NEON_DATABASE_OWNER", "KEY_VAULT_URL"]

const PARTS = new Set(["contracts", "life"])

const say = (text: string) => void process.stdout.write(`${redact(text)}\n`)

const interruption = new AbortController()
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.on(signal, () => {
    if (!interruption.signal.aborted) say("interrupted: removing what was made")
    interruption.abort(new Error("interrupted"))
  })

process.exitCode = await main()

async function main(): Promise<number> {
  const wanted = process.argv.slice(2)
  const unknown = wanted.find((part) => !PARTS.has(part))
  if (unknown !== undefined) {
    say(`test:live: what is "${unknown}"? It takes contracts, life, or neither for both.`)
    return 2
  }
  const isWanted = (part: string) => wanted.length === 0 || wanted.includes(part)
  const missing = NEEDED.filter((name) => !process.env[name])
  if (missing.length > 0) {
    const bar = "!".repeat(72)
    say(`${bar}\nTHE LIVE TESTS DID NOT RUN: ${missing.join(", ")} not set.`)
    say(`Nothing was tried against the real Neon or Key Vault. docs/deploy.md says what they need.\n${bar}`)
    return 1
  }
  const base: NodeJS.ProcessEnv = { NEON_API_URL: "https://console.neon.tech/api/v2", ...process.env }
  keepSecret(base["NEON_API_KEY"]!)
  const mark = randomBytes(4).toString("hex")
  // Begins like a tenant's secret, so that a role on those alone is enough.
  const prefix = `tenant-live-${mark}`
  const ids = [TenantId.parse(randomUUID()), TenantId.parse(randomUUID())] as const
  const isOurs = (name: string) =>
    name.toLowerCase().startsWith(`${prefix}-`) || ids.some((id) => name === `tenant-${id}`)
  const { signal } = interruption
  const failures: string[] = []
  const attempt = async (what: string, run: () => Promise<void>) => {
    try {
      await run()
      say(`ok    ${what}`)
    } catch (error) {
      failures.push(what)
      say(`FAIL  ${what}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  const tryOn = async (what: string, run: () => Promise<void>) => {
    if (!signal.aborted) await attempt(what, run)
  }

  const branch = planBranch(base, `tenantry-live-${mark}`, say)
  let branchId: string | undefined
  await tryOn("a branch is made", async () => {
    branchId = await branch.create()
  })
  if (branchId !== undefined) {
    const environment = { ...base, NEON_BRANCH_ID: branchId }
    const contracts = () => keepContracts({ ...environment, LIVE_PREFIX: prefix }, say, signal)
    if (isWanted("contracts"))
      await tryOn("Neon and Key Vault keep the contract that the stand-ins keep", contracts)
    if (isWanted("life")) await liveALife(readConfig(environment), ids, tryOn, signal)
  }
  await attempt("what was made in the vault is gone", () =>
    removeSecrets(base["KEY_VAULT_URL"]!, isOurs, say),
  )
  await attempt("the branch is gone", branch.remove)
  if (signal.aborted) return 130
  say(failures.length === 0 ? "the live tests passed" : `${failures.length} of the live tests failed`)
  return failures.length === 0 ? 0 : 1
}
