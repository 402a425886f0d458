/** The environment, validated once. */
import { z } from "zod"
import { TerminalError } from "./errors.ts"
import {
  type Authority,
  authorityOf,
  list,
  TelemetryEnvironment,
  TokenEnvironment,
  whole,
} from "./environment.ts"
import type { CellConfig, NeonConfig } from "./providers/neon.ts"
import { isTrustworthy } from "./providers/tokens.ts"
import type { Sources } from "./reconcile.ts"
import { NEON_ID } from "./tenant.ts"

const neonId = z
  .string()
  .regex(NEON_ID, { error: "must be an id of Neon's: lower-case letters, digits, hyphens" })
const isCell = (pair: string): boolean => {
  const ids = pair.split("/")
  return ids.length === 2 && ids.every((id) => NEON_ID.test(id))
}
/** Cells as one writes them: project/branch,project/branch. */
const cells = list
  .refine((pairs) => pairs.every(isCell), {
    error: "must be project/branch, with commas between two: quiet-sea-1/br-one,quiet-sea-2/br-two",
  })
  .transform((pairs) =>
    pairs.map((pair) => {
      const [projectId = "", branchId = ""] = pair.split("/")
      return { projectId, branchId }
    }),
  )
const url = (protocol: RegExp, example: string) =>
  z.url({ protocol, error: `must be a URL such as ${example}` })
/** Every variable that the reconciler reads. */
export const ReconcilerEnvironment = z.object({
  NEON_API_URL: url(/^https?$/, "https://console.neon.tech/api/v2"),
  NEON_API_KEY: z.string().min(8, { error: "must be a Neon API key" }),
  NEON_PROJECT_ID: neonId,
  NEON_BRANCH_ID: neonId,
  /** Further cells beside that one. */
  NEON_CELLS: cells.default([]),
  NEON_DATABASE_OWNER: z.string().regex(/^[A-Za-z0-9_-]{1,63}$/, { error: "must be the name of a role" }),
  KEY_VAULT_URL: url(/^https$/, "https://my-vault.vault.azure.net"),
  AZURE_CLIENT_ID: z.string().optional(),
  TENANTS_DIR: z.string().min(1).default("./tenants"),
  FLEET_FILE: z.string().min(1).default("./fleet.yaml"),
  MIGRATIONS_DIR: z.string().min(1).default("./migrations"),
  STATUS_PORT: whole(0, 65_535, 3001),
  /** The address that the status is served on; all of the machine's when not set. */
  STATUS_HOST: z.string().min(1, { error: "must be an address" }).optional(),
  /** Seconds between two passes when no file changes. */
  RECONCILE_INTERVAL: whole(1, 86_400, 60),
  /** Milliseconds between two looks at each file, where the volume tells of no changes; 0: it does. */
  WATCH_POLL_INTERVAL: whole(0, 60_000, 0),
  /** Milliseconds between two looks at an operation of Neon's. */
  NEON_POLL_INTERVAL: whole(10, 60_000, 1000),
  NEON_REQUESTS_PER_SECOND: whole(1, 10_000, 8),
  /** Key Vault takes 300 new versions in 10 s; the default leaves room for others. */
  VAULT_WRITES_PER_SECOND: whole(1, 10_000, 25),
  SQL_CONCURRENCY: whole(1, 100, 8),
  /** Seconds that running transactions get when a tenant's database is closed. */
  DRAIN_SECONDS: whole(0, 600, 10),
  ...TokenEnvironment.omit({ TENANT_CLAIM: true }).shape,
  ...TelemetryEnvironment.shape,
  /** Where events are sent, as CloudEvents; nowhere when not set. */
  EVENTS_WEBHOOK_URL: z
    .url({ protocol: /^https?$/, error: "must be an address" })
    .refine((address) => isTrustworthy(new URL(address)), { error: "must be https, or on this machine" })
    .optional(),
  /** Signs them: whsec_ and at least 24 bytes in base64, as Standard Webhooks says. */
  EVENTS_WEBHOOK_SECRET: z
    .string()
    .regex(/^whsec_[A-Za-z0-9+/]{32,}={0,2}$/, {
      error: "must be whsec_ and at least 24 bytes in base64: echo whsec_$(openssl rand -base64 32)",
    })
    .optional(),
  LOG_LEVEL: z.enum(["trace", "debug", "info", "warn", "error", "fatal"]).default("info"),
})

export type Config = {
  sources: Sources
  neon: NeonConfig
  vaultUrl: string
  vaultWritesPerSecond: number
  statusPort: number
  statusHost: string | undefined
  /** Milliseconds. */
  interval: number
  /** Milliseconds, 0 for none. */
  polling: number
  /** Milliseconds. */
  drain: number
  sqlConcurrency: number
  /** Whose tokens open the status page; undefined: nobody's. */
  authority: Authority | undefined
  /** `byTenant`: they name tenants. `port`: also served there, to whoever reaches it. */
  metrics: { byTenant: boolean; port: number | undefined; host: string | undefined }
  /** Where events are sent. */
  webhook: { url: string; secret: string } | undefined
}

/** Throws TerminalError that names every variable that is missing or wrong. */
export function readConfig(environment: NodeJS.ProcessEnv): Config {
  const parsed = ReconcilerEnvironment.safeParse(environment, { reportInput: true })
  if (!parsed.success) {
    const lines = parsed.error.issues.map(({ path, message, code, input }) => {
      const name = path.join(".")
      return code === "invalid_type" && input === undefined
        ? `environment: ${name} is not set; "npm start" makes a local world that sets it, docs/deploy.md says what it is in production`
        : `environment: ${name} ${message}`
    })
    throw new TerminalError("BadEnvironment", lines.join("\n"))
  }
  const env = parsed.data
  return {
    sources: { tenantsDir: env.TENANTS_DIR, fleetFile: env.FLEET_FILE, migrationsDir: env.MIGRATIONS_DIR },
    neon: {
      apiUrl: env.NEON_API_URL,
      apiKey: env.NEON_API_KEY,
      cells: cellsOf(env),
      owner: env.NEON_DATABASE_OWNER,
      pollInterval: env.NEON_POLL_INTERVAL,
      requestsPerSecond: env.NEON_REQUESTS_PER_SECOND,
    },
    vaultUrl: env.KEY_VAULT_URL,
    vaultWritesPerSecond: env.VAULT_WRITES_PER_SECOND,
    statusPort: env.STATUS_PORT,
    statusHost: env.STATUS_HOST,
    interval: env.RECONCILE_INTERVAL * 1000,
    polling: env.WATCH_POLL_INTERVAL,
    drain: env.DRAIN_SECONDS * 1000,
    sqlConcurrency: env.SQL_CONCURRENCY,
    authority: authorityOf(env),
    webhook: webhookOf(env),
    metrics: {
      byTenant: env.METRICS_TENANT_LABEL === "on",
      port: env.METRICS_PORT,
      host: env.METRICS_HOST ?? env.STATUS_HOST,
    },
  }
}

/** A cell is known by its project, so no project has two. */
function cellsOf(env: z.infer<typeof ReconcilerEnvironment>): [CellConfig, ...CellConfig[]] {
  const names = [env.NEON_PROJECT_ID, ...env.NEON_CELLS.map(({ projectId }) => projectId)]
  const twice = names.find((name, index) => names.indexOf(name) < index)
  if (twice === undefined)
    return [{ projectId: env.NEON_PROJECT_ID, branchId: env.NEON_BRANCH_ID }, ...env.NEON_CELLS]
  throw new TerminalError(
    "BadEnvironment",
    `environment: NEON_CELLS must name each project once, and not that of NEON_PROJECT_ID again: ${twice} is there twice`,
  )
}

function webhookOf({
  EVENTS_WEBHOOK_URL: address,
  EVENTS_WEBHOOK_SECRET: secret,
}: z.infer<typeof ReconcilerEnvironment>): Config["webhook"] {
  if (address === undefined) return undefined
  if (secret !== undefined) return { url: address, secret }
  throw new TerminalError(
    "BadEnvironment",
    "environment: EVENTS_WEBHOOK_SECRET is not set; EVENTS_WEBHOOK_URL needs it, to sign what is sent",
  )
}
