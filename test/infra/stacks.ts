/** The committed stacks, completed with what only their owner can say. */
import { readFileSync } from "node:fs"
import path from "node:path"
import { parse } from "yaml"

export const ROOT = path.resolve(import.meta.dirname, "../..")

/** The digest of no image. */
const digest = (letter: string) => `sha256:${letter.repeat(64)}`

/** What nobody may see, here or on Azure. */
export const SECRETS = {
  neonApiKey: "napi_this_is_a_secret_key",
  repositoryToken: "ghp_this_is_a_secret_token",
  webhookSecret: "whsec_dGhpc0lzQVNlY3JldFRoYXROb2JvZHlNYXlTZWU=",
}

const NEON = {
  project: "quiet-sea-12345678",
  branch: "br-quiet-sea-12345678",
  owner: "neondb_owner",
  region: "aws-us-east-1",
}

const OWN: Record<string, string> = {
  "tenantry:name": "acme",
  "tenantry:neon": JSON.stringify(NEON),
  "tenantry:neonApiKey": SECRETS.neonApiKey,
  "tenantry:repository": JSON.stringify({ url: "https://github.com/acme/tenants.git" }),
  "tenantry:images": JSON.stringify({
    api: `tenantry-api@${digest("a")}`,
    reconciler: `tenantry-reconciler@${digest("b")}`,
  }),
  "tenantry:oidc": JSON.stringify({ issuer: "https://login.acme.example/", audience: "tenantry" }),
}

/** Everything that a stack can switch on. */
const ALL: Record<string, string> = {
  "tenantry:neon": JSON.stringify({
    ...NEON,
    cells: ["quiet-sea-23456789/br-quiet-sea-23456789", "quiet-sea-34567890/br-quiet-sea-34567890"],
  }),
  "tenantry:repositoryToken": SECRETS.repositoryToken,
  "tenantry:webhook": JSON.stringify({ url: "https://hooks.acme.example/tenantry" }),
  "tenantry:webhookSecret": SECRETS.webhookSecret,
  "tenantry:domain": JSON.stringify({ suffix: "shop.acme.example", certificateSecret: "shop-wildcard" }),
  "tenantry:conditionOnPrefix": "true",
  "tenantry:alerts": JSON.stringify({ email: "people@acme.example" }),
}

export type Stack = "dev" | "prod"

/** The configuration as Pulumi hands it to the program: flat, objects as JSON. */
export function configurationOf(stack: Stack): Record<string, string> {
  const { config } = parse(readFileSync(path.join(ROOT, `Pulumi.${stack}.yaml`), "utf8")) as {
    config: Record<string, unknown>
  }
  const committed = Object.entries(config).map(([key, value]) => [
    key,
    typeof value === "string" ? value : JSON.stringify(value),
  ])
  return {
    ...(Object.fromEntries(committed) as Record<string, string>),
    ...OWN,
    ...(stack === "prod" ? ALL : {}),
  }
}
