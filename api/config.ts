/** The environment, read once. */
import { z } from "zod"

const whole = (min: number, max: number, otherwise: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, { error: "must be a whole number" })
    .transform(Number)
    .refine((value) => value >= min && value <= max, { error: `must be from ${min} to ${max}` })
    .default(otherwise)

/** Times are in milliseconds. An empty variable is an error, except where it is not set at all. */
const Environment = z.object({
  PORT: whole(0, 65_535, 3000),
  /** The address to listen on; all of the machine's when not set. */
  HOST: z.string().min(1, { error: "must be an address" }).optional(),
  KEY_VAULT_URL: z.url({
    protocol: /^https$/,
    error: "must be the vault's https address, such as https://name.vault.azure.net",
  }),
  TENANT_HEADER: z
    .string()
    .regex(/^[A-Za-z0-9-]{1,64}$/, { error: "must be a header's name: letters, digits and hyphens" })
    .default("X-TenantId"),
  /** Connections per tenant, and tenants with a pool: their product stays below the server's max_connections. */
  POOL_MAX: whole(1, 100, 4),
  POOLS_MAX: whole(1, 10_000, 20),
  POOL_WAIT_MS: whole(1, 60_000, 5000),
  POOL_IDLE_MS: whole(1, 3_600_000, 30_000),
  CONNECT_TIMEOUT_MS: whole(1, 60_000, 3000),
  STATEMENT_TIMEOUT_MS: whole(1, 600_000, 10_000),
  /** How long a request tries again to reach its database. */
  RETRY_MS: whole(0, 60_000, 5000),
  /** How long "no such tenant", "suspended" and "retired" are believed. */
  NEGATIVE_CACHE_MS: whole(0, 3_600_000, 30_000),
})

/** Checked settings of the API. */
export type Config = z.infer<typeof Environment>

/** The settings, or one line for each value that is wrong. */
export function readConfig(environment: NodeJS.ProcessEnv): { config: Config } | { problems: string[] } {
  const result = Environment.safeParse(environment)
  if (result.success) return { config: result.data }
  return {
    problems: result.error.issues.map(({ path, message }) => {
      const name = String(path[0])
      return environment[name] === undefined ? `${name} is not set: it ${message}` : `${name} ${message}`
    }),
  }
}
