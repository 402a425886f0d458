import { startVault } from "../../local/vault.ts"

// Run as a process of its own, to be killed: it prints how to reach the vault, and serves until then, or until whoever
// started it is gone and its standard input ends.
process.stdin.on("end", () => process.exit()).resume()
const { url, caFile, identity } = await startVault({
  directory: process.argv[2] ?? "",
  recoverableDelayMs: 0,
})
process.stdout.write(`${JSON.stringify({ url, caFile, identity })}\n`)
