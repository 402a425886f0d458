/** Postgres and the stand-ins, as `npm start` has them, with operations that take no time. */
import path from "node:path"
import { startNeon } from "../../local/neon.ts"
import { removePostgres, startPostgres } from "../../local/postgres.ts"
import { startVault } from "../../local/vault.ts"

const API_KEY = "a-key-for-benchmarks"

/** Everything is kept below `folder`, and `close` removes Postgres' part of it. */
export async function startSystems(folder: string) {
  const directory = path.join(folder, "postgres")
  const [postgres, vault] = await Promise.all([
    startPostgres({ directory, settings: { autovacuum: "off" } }),
    startVault({ directory: path.join(folder, "vault"), irregularPages: 0 }),
  ])
  const neon = await startNeon({ postgres, apiKey: API_KEY, operationMs: 0 })
  return {
    postgres,
    vault,
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
    async close() {
      await vault.close()
      await neon.close()
      await postgres.stop()
      await removePostgres(directory)
    },
  }
}
