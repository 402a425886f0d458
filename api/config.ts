/** The environment, read once. */
import { z } from "zod"
import {
  type Authority,
  authorityOf,
  list,
  TelemetryEnvironment,
  TokenEnvironment,
  whole,
} from "../reconciler/environment.ts"
import { SOURCES } from "./which-tenant.ts"

const Vault = z.url({
  protocol: /^https$/,
  error: "must be the vault's https address, such as https://name.vault.azure.net",
})

/** Times are in milliseconds. An empty variable is an error, except where it is not set at all. */
export const Environment = z.object({
  PORT: whole(0, 65_535, 3000),
  /** The address to listen on; all of the machine's when not set. */
  HOST: z.string().min(1, { error: "must be an address" }).optional(),
  KEY_VAULT_URL: Vault.optional(),
  /** In the vault's place: one credential for all tenants, whose files and fleet then say who they are. */
  CONNECTION_TEMPLATE: z
    .string()
    .regex(/^postgres(?:ql)?:\/\/[^/]+\/\{database\}(?:\?.*)?$/, {
      error: "must be like postgres://user:password@host/{database}",
    })
    .optional(),
  FLEET_ID: z.string().min(1, { error: "must be the id in fleet.yaml" }).optional(),
  TENANTS_DIR: z.string().min(1, { error: "must be a folder" }).optional(),
  /** Which seeds a file may name; where the folder is not there, that is left to the reconciler. */
  MIGRATIONS_DIR: z.string().min(1, { error: "must be a folder" }).default("./migrations"),
  TENANT_FROM: list
    .refine((ways) => ways.length > 0 && ways.every((way) => SOURCES.includes(way as never)), {
      error: `must be some of ${SOURCES.join(", ")}`,
    })
    .transform((ways) => new Set(SOURCES.filter((way) => ways.includes(way))))
    .default(new Set(["header"])),
  TENANT_HEADER: z
    .string()
    .regex(/^[A-Za-z0-9-]{1,64}$/, { error: "must be a header's name: letters, digits and hyphens" })
    .default("X-TenantId"),
  /** <name>.<suffix> is a tenant's host; localhost is for a machine of one's own. */
  TENANT_HOST_SUFFIXES: list
    .refine((suffixes) => suffixes.every((suffix) => /^[a-z0-9-]+(?:\.[a-z0-9-]+)*$/.test(suffix)), {
      error: "must be domain names in lower case, such as shop.example",
    })
    .default([]),
  /** How often the tenants' names are read anew. */
  NAMES_INTERVAL_MS: whole(100, 3_600_000, 30_000),
  ...TokenEnvironment.shape,
  ...TelemetryEnvironment.shape,
  /** Requests a second; 0 is without a limit. */
  RATE_PER_TENANT: whole(0, 1_000_000, 1000),
  RATE_PER_CALLER: whole(0, 1_000_000, 1000),
  /** Other sites whose pages may call from a browser. */
  CORS_ORIGINS: list
    .refine(
      (origins) => origins.every((origin) => URL.canParse(origin) && new URL(origin).origin === origin),
      {
        error: "must be origins such as https://shop.example",
      },
    )
    .default([]),
  /** How many proxies before this process add to X-Forwarded-For. */
  TRUSTED_PROXIES: whole(0, 10, 0),
  /** Most connections per tenant, and of the whole process: less than the server's max_connections. */
  POOL_MAX: whole(1, 100, 4),
  CONNECTIONS_MAX: whole(1, 10_000, 80),
  POOL_WAIT_MS: whole(1, 60_000, 5000),
  POOL_IDLE_MS: whole(1, 3_600_000, 30_000),
  CONNECT_TIMEOUT_MS: whole(1, 60_000, 3000),
  STATEMENT_TIMEOUT_MS: whole(1, 600_000, 10_000),
  /** How long a request tries again to reach its database: longer than a rename takes, which waits for what runs. */
  RETRY_MS: whole(0, 60_000, 15_000),
  /** How long "no such tenant", "suspended" and "retired" are believed. */
  NEGATIVE_CACHE_MS: whole(0, 3_600_000, 30_000),
})

type Environment = z.infer<typeof Environment>

/** Where credentials come from. */
type Credentials =
  | { kind: "vault"; url: string }
  | { kind: "template"; template: string; fleet: string; folder: string }
const NO_AUTHORITY =
  "OIDC_ISSUER and OIDC_AUDIENCE must say whose tokens are accepted; AUTH=off would accept everybody"

/** Checked settings of the API. */
export type Config = Environment & { credentials: Credentials; authority: Authority }

/** The settings, or one line for each value that is wrong. */
export function readConfig(environment: NodeJS.ProcessEnv): { config: Config } | { problems: string[] } {
  const result = Environment.safeParse(environment)
  if (!result.success) {
    return {
      problems: result.error.issues.map(({ path, message }) => {
        const name = String(path[0])
        return environment[name] === undefined ? `${name} is not set: it ${message}` : `${name} ${message}`
      }),
    }
  }
  const { data } = result
  const credentials = credentialsOf(data)
  const authority = authorityOf(data)
  const problems = [credentials].filter((one) => typeof one === "string")
  if (!authority) problems.push(NO_AUTHORITY)
  if (data.TENANT_FROM.has("host") && data.TENANT_HOST_SUFFIXES.length === 0)
    problems.push("TENANT_HOST_SUFFIXES is not set: TENANT_FROM names host, so it must name a domain")
  if (problems.length > 0 || typeof credentials === "string" || !authority) return { problems }
  return { config: { ...data, credentials, authority } }
}

function credentialsOf(data: Environment): Credentials | string {
  const { KEY_VAULT_URL, CONNECTION_TEMPLATE, FLEET_ID, TENANTS_DIR } = data
  if (CONNECTION_TEMPLATE === undefined) {
    return KEY_VAULT_URL === undefined
      ? "KEY_VAULT_URL is not set: it must be the vault's https address, such as https://name.vault.azure.net"
      : { kind: "vault", url: KEY_VAULT_URL }
  }
  if (KEY_VAULT_URL !== undefined)
    return "CONNECTION_TEMPLATE stands in the place of KEY_VAULT_URL: set one of them"
  if (FLEET_ID === undefined || TENANTS_DIR === undefined)
    return "CONNECTION_TEMPLATE needs FLEET_ID and TENANTS_DIR, which say whose databases are served"
  return { kind: "template", template: CONNECTION_TEMPLATE, fleet: FLEET_ID, folder: TENANTS_DIR }
}
