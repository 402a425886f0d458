import { expect, test } from "vitest"
import { readConfig } from "../../api/config.ts"
import { readConfig as readReconcilerConfig } from "../../reconciler/config.ts"

const KEY_VAULT_URL = "https://example.vault.azure.net"

test("the vault's address is enough, and the rest has defaults", () => {
  expect(readConfig({ KEY_VAULT_URL, AUTH: "off" })).toMatchObject({
    config: { PORT: 3000, TENANT_HEADER: "X-TenantId", KEY_VAULT_URL, POOL_MAX: 4 },
  })
})

test("each wrong value has one line that names it", () => {
  const result = readConfig({
    PORT: "eighty",
    POOL_MAX: "0",
    TENANT_HEADER: "a b",
    KEY_VAULT_URL: "http://x",
  })
  expect(result).toEqual({
    problems: [
      "PORT must be a whole number",
      "KEY_VAULT_URL must be the vault's https address, such as https://name.vault.azure.net",
      "TENANT_HEADER must be a header's name: letters, digits and hyphens",
      "POOL_MAX must be from 1 to 100",
    ],
  })
})

const VAULT =
  "KEY_VAULT_URL is not set: it must be the vault's https address, such as https://name.vault.azure.net"
const ISSUER =
  "OIDC_ISSUER and OIDC_AUDIENCE must say whose tokens are accepted; AUTH=off would accept everybody"

test.each<[NodeJS.ProcessEnv, string[]]>([
  [{}, [VAULT, ISSUER]],
  [{ KEY_VAULT_URL }, [ISSUER]],
  [{ KEY_VAULT_URL, AUTH: "on", OIDC_ISSUER: "https://issuer.example" }, [ISSUER]],
  [{ KEY_VAULT_URL, AUTH: "no" }, ["AUTH must be on or off"]],
  [
    { KEY_VAULT_URL, OIDC_ISSUER: "http://issuer.example" },
    ["OIDC_ISSUER must be https, or on this machine"],
  ],
  [{ KEY_VAULT_URL, AUTH: "off", TENANT_FROM: "cookie" }, ["TENANT_FROM must be some of header, host, path"]],
  [
    { KEY_VAULT_URL, AUTH: "off", TENANT_FROM: "host" },
    ["TENANT_HOST_SUFFIXES is not set: TENANT_FROM names host, so it must name a domain"],
  ],
  [
    { KEY_VAULT_URL, AUTH: "off", CORS_ORIGINS: "*" },
    ["CORS_ORIGINS must be origins such as https://shop.example"],
  ],
  [
    { AUTH: "off", CONNECTION_TEMPLATE: "postgres://u:p@h/{database}" },
    ["CONNECTION_TEMPLATE needs FLEET_ID and TENANTS_DIR, which say whose databases are served"],
  ],
])("%j does not start it", (environment, problems) => {
  expect(readConfig(environment)).toEqual({ problems })
})

test.each(["HS256", "none", "RS256,HS512", ""])("tokens signed by %j are never accepted", (names) => {
  expect(readConfig({ KEY_VAULT_URL, AUTH: "off", JWT_ALGORITHMS: names })).toMatchObject({
    problems: [expect.stringMatching(/^JWT_ALGORITHMS must be some of RS256/)],
  })
})

test("by default a request tries again for longer than a rename waits for what runs", () => {
  const { drain } = readReconcilerConfig({
    NEON_API_URL: "https://console.neon.tech/api/v2",
    NEON_API_KEY: `napi_${"k".repeat(40)}`,
    NEON_PROJECT_ID: "project",
    NEON_BRANCH_ID: "branch",
    NEON_DATABASE_OWNER: "owner",
    KEY_VAULT_URL,
  })
  const result = readConfig({ KEY_VAULT_URL, AUTH: "off" })
  expect("config" in result && result.config.RETRY_MS).toBeGreaterThan(drain)
})
