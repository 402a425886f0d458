/** The systems that a fleet lives in: a real Postgres for each cell, and the stand-ins for Neon and for the vault on it. */
import { mkdtempSync, readFileSync } from "node:fs"
import { chmod, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import path from "node:path"
import type { SecretClient } from "@azure/keyvault-secrets"
import { Client } from "pg"
import { startNeon } from "../../local/neon.ts"
import { removePostgres } from "../../local/postgres.ts"
import { startVault, type VaultOptions } from "../../local/vault.ts"
import { withDatabase } from "../../reconciler/providers/postgres.ts"
import { clientOf } from "../local/vault-client.ts"
import { startTestPostgres } from "../postgres.ts"

export type SystemsOptions = Omit<VaultOptions, "directory"> & {
  /** How long one operation of Neon's takes; milliseconds, default 0. */
  operationMs?: number
  /** Default 1. */
  cells?: number
}

const NEON_API_KEY = "napi_fleet_0123456789abcdef0123456789abcdef"

/** Tests do not cut the power. */
const FAST = { fsync: "off", synchronous_commit: "off", full_page_writes: "off" }

/** Runs one statement in a session of its own; throws what Postgres or the attempt to connect gives. */
export async function query<T extends object>(
  uri: string,
  text: string,
  values: unknown[] = [],
): Promise<T[]> {
  const client = new Client({ connectionString: uri, connectionTimeoutMillis: 10_000 })
  client.on("error", () => {}) // the statement that it breaks reports it
  try {
    await client.connect()
    return (await client.query<T>(text, values)).rows
  } finally {
    await client.end().catch(() => {})
  }
}

export type Systems = Awaited<ReturnType<typeof startSystems>>

/** Starts them in this process, with their data in a temporary folder. */
export async function startSystems({ operationMs = 0, cells = 1, ...options }: SystemsOptions = {}) {
  const folder = mkdtempSync(path.join(tmpdir(), "tenantry-fleet-"))
  await chmod(folder, 0o711)
  const postgresFolder = path.join(folder, "postgres")
  const vaultFolder = path.join(folder, "vault")
  const start = (directory = postgresFolder) => startTestPostgres({ directory, settings: FAST })
  const folders = Array.from({ length: cells - 1 }, (_, index) => `${postgresFolder}-${index + 2}`)
  let postgres = await start()
  const others = await Promise.all(folders.map(start))
  const vault = await startVault({
    directory: vaultFolder,
    irregularPages: 0,
    recoverableDelayMs: 0,
    purgeProtection: false,
    ...options,
  })
  const projects = others.map((server, index) => {
    const projectId = `tenantry-local-${index + 2}`
    return { postgres: server, projectId, branchId: `br-${projectId}` }
  })
  const neon = await startNeon({ postgres, others: projects, apiKey: NEON_API_KEY, operationMs })
  const secrets: SecretClient = clientOf(vault)

  return {
    folder,
    postgres,
    neon,
    vault,
    vaultFolder,
    /** Key Vault's own client, with the rights to read and write every secret. */
    secrets,
    /** One statement as the superuser, in the first cell. */
    sql: <T extends object>(database: string, text: string, values: unknown[] = []): Promise<T[]> =>
      query<T>(withDatabase(postgres.superuserUri, database), text, values),
    /** The same in the other cells, by the project. */
    elsewhere: new Map(
      projects.map((project) => [
        project.projectId,
        <T extends object>(database: string, text: string, values: unknown[] = []): Promise<T[]> =>
          query<T>(withDatabase(project.postgres.superuserUri, database), text, values),
      ]),
    ),
    /** The environment that `npm start` gives the reconciler, for these systems; it holds credentials. */
    environment: (): Record<string, string> => ({
      NEON_API_URL: neon.url,
      NEON_API_KEY,
      NEON_PROJECT_ID: neon.projectId,
      NEON_BRANCH_ID: neon.branchId,
      NEON_CELLS: projects.map(({ projectId, branchId }) => `${projectId}/${branchId}`).join(","),
      NEON_DATABASE_OWNER: neon.owner,
      NEON_POLL_INTERVAL: "10",
      NEON_REQUESTS_PER_SECOND: "500",
      VAULT_WRITES_PER_SECOND: "500",
      RECONCILE_INTERVAL: "1",
      DRAIN_SECONDS: "1",
      STATUS_PORT: "0",
      ...vault.environment("reconciler"),
    }),
    /** Every connection string that the vault ever held, oldest first, by the name of its secret. */
    published: (): { secret: string; uri: string }[] =>
      readFileSync(path.join(vaultFolder, "secrets.journal"), "utf8")
        .split("\n")
        .flatMap((line) => readVersions(line)),
    /** What nobody may see printed, but for the tenants' passwords. */
    keys: [NEON_API_KEY, ...neon.projects.map(({ ownerPassword }) => ownerPassword), vault.identity.header],
    /** Stops Postgres, ending every session, and starts it again on the same port. */
    restartPostgres: async () => {
      await postgres.stop()
      postgres = await start()
    },
    stop: async () => {
      await neon.close()
      await vault.close()
      await Promise.all([postgres, ...others].map(({ stop }) => stop()))
      for (const each of [postgresFolder, ...folders]) await removePostgres(each)
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** The vault's journal has one change a line; those that write a value hold a version, or a secret with all of them. */
function readVersions(line: string): { secret: string; uri: string }[] {
  const secret = /"name":"(tenant-[0-9a-f-]{36})"/i.exec(line)?.[1]
  const values = line.matchAll(/"value":"(postgres[^"]*)"/g)
  return secret ? [...values].map(([, uri]) => ({ secret, uri: uri! })) : []
}
