import { expect, test } from "vitest"
import { readConfig } from "../../api/config.ts"

const KEY_VAULT_URL = "https://example.vault.azure.net"

test("the vault's address is enough, and the rest has defaults", () => {
  expect(readConfig({ KEY_VAULT_URL })).toMatchObject({
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
  expect(readConfig({})).toEqual({
    problems: [
      "KEY_VAULT_URL is not set: it must be the vault's https address, such as https://name.vault.azure.net",
    ],
  })
})
