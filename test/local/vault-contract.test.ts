/** The stand-in for Key Vault keeps the contract that "npm run test:live" tries on Azure's own. */
import { describe } from "vitest"
import { describeVault, type VaultPlace } from "../contract/vault.ts"
import { clientOf, polling, testVault } from "./vault-client.ts"

async function open(purgeProtection: boolean): Promise<VaultPlace> {
  const vault = await testVault({ purgeProtection, irregularPages: 3, recoveringDelayMs: 20 })
  const client = clientOf(vault.server)
  return { client, prefix: "tenant-contract", polling, close: () => vault[Symbol.asyncDispose]() }
}

describe("with purge protection", () => describeVault(() => open(true)))
describe("without purge protection", () => describeVault(() => open(false)))
