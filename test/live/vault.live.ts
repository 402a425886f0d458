/** The contract on the vault that the environment names; test/live.ts removes what it leaves. */
import { describeVault } from "../contract/vault.ts"
import { openVault } from "./vault-client.ts"

describeVault(async () => ({
  client: openVault(process.env["KEY_VAULT_URL"]!),
  prefix: process.env["LIVE_PREFIX"]!,
  polling: { intervalInMs: Number(process.env["NEON_POLL_INTERVAL"] ?? 1000) },
  close: async () => {},
}))
