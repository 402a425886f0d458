/** Postgres and the stand-ins, as `npm start` has them, with operations that take no time. */
import { rm } from "node:fs/promises"
import path from "node:path"
import { startNeon } from "../../local/neon.ts"
import { removePostgres, startPostgres } from "../../local/postgres.ts"
import { startVault } from "../../local/vault.ts"

const API_KEY = "a-key-for-benchmarks"

/** Everything is kept below `folder`, and `close` removes Postgres' part of it. */
export async function startSystems(folder: string) {
  const directory = path.join(folder, "postgres")
  const vaultFolder = path.join(folder, "vault")
  const openVault = (ports: { port?: number; identityPort?: number } = {}) =>
    startVault({ directory: vaultFolder, irregularPages: 0, ...ports })
  const [postgres, firstVault] = await Promise.all([
    startPostgres({ directory, settings: { autovacuum: "off" } }),
    openVault(),
  ])
  let vault = firstVault
  const neon = await startNeon({ postgres, apiKey: API_KEY, operationMs: 0 })
  return {
    postgres,
    environment: (): Record<string, string> => ({
      NEON_API_URL: neon.url,
      NEON_API_KEY: API_KEY,
      NEON_PROJECT_ID: neon.projectId,
      NEON_BRANCH_ID: neon.branchId,
      NEON_DATABASE_OWNER: neon.owner,
      NEON_REQUESTS_PER_SECOND: "10000",
      VAULT_WRITES_PER_SECOND: "10000",
      ...vault.environment("reconciler"),
    }),
    /** Forgets every secret: each pass lists them all. */
    async emptyVault() {
      const identityPort = Number(new URL(vault.identity.endpoint).port)
      await vault.close()
      await rm(path.join(vaultFolder, "secrets.journal"))
      vault = await openVault({ port: vault.port, identityPort })
    },
    async close() {
      await vault.close()
      await neon.close()
      await postgres.stop()
      await removePostgres(directory)
    },
  }
}
