/**
 * npm run test:live: the life of a tenant on the real Neon and the real Key Vault, by the reconciler's own code, in a
 * branch and with a tenant that exist only for it. Without credentials it says that it did not run, and fails.
 */
import { readConfig } from "../reconciler/config.ts"
import { redact } from "../reconciler/log.ts"
import { createBranch } from "./live/branch.ts"
import { liveALife } from "./live/life.ts"
import { removeSecrets } from "./live/secrets.ts"

const NEEDED = ["NEON_API_KEY", "NEON_PROJECT_ID", "NEON_DATABASE_OWNER", "KEY_VAULT_URL"]

const say = (text: string) => void process.stdout.write(`${redact(text)}\n`)

process.exitCode = await main()

async function main(): Promise<number> {
  const missing = NEEDED.filter((name) => !process.env[name])
  if (missing.length > 0) {
    const bar = "!".repeat(72)
    say(`${bar}\nTHE LIVE TESTS DID NOT RUN: ${missing.join(", ")} not set.`)
    say(`Nothing was tried against the real Neon or Key Vault. docs/deploy.md says what they need.\n${bar}`)
    return 1
  }
  const base = { NEON_API_URL: "https://console.neon.tech/api/v2", ...process.env }
  // A branch that is given is somebody's own: it is used, and left.
  const given = process.env["NEON_BRANCH_ID"]
  const branch = given ? { id: given, remove: async () => {} } : await createBranch(base, say)
  const config = readConfig({ ...base, NEON_BRANCH_ID: branch.id })
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
  const ids = await liveALife(config, attempt)
  await attempt("what was made in the vault is removed", () => removeSecrets(config.vaultUrl, ids, say))
  await attempt("the branch is removed", branch.remove)
  say(failures.length === 0 ? "the live tests passed" : `${failures.length} of the live tests failed`)
  return failures.length === 0 ? 0 : 1
}
