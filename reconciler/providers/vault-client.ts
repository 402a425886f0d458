/** One way to reach Azure Key Vault: the client, and calls that end in an error of ours. */
import { DefaultAzureCredential } from "@azure/identity"
import { SecretClient, type SecretClientOptions } from "@azure/keyvault-secrets"
import { TerminalError, TransientError } from "../errors.ts"
import { observeRequests } from "./vault-calls.ts"
import { retryThrottled, vaultError } from "./vault-errors.ts"

/** Longest that one operation, with the client's own retries, may take; in milliseconds. */
const OPERATION_DEADLINE = 60_000
const AZURE_VAULT = /\.vault\.(?:azure\.net|azure\.cn|usgovcloudapi\.net)$/

/** A client of the vault at `url`, as the identity that the environment gives. `isPatient`: it sends again what may pass. */
export function createVaultClient(url: string, { isPatient = true } = {}): SecretClient {
  const clientId = process.env["AZURE_CLIENT_ID"]
  const credential = new DefaultAzureCredential(clientId ? { managedIdentityClientId: clientId } : {})
  const options: SecretClientOptions = {
    additionalPolicies: [
      ...(isPatient ? [{ policy: retryThrottled(), position: "perCall" as const }] : []),
      { policy: observeRequests(), position: "perRetry" },
    ],
    ...(isPatient ? {} : { retryOptions: { maxRetries: 0 } }),
    // The challenge names vault.azure.net, which only a vault of Azure's can be part of.
    disableChallengeResourceVerification: !AZURE_VAULT.test(new URL(url).hostname),
  }
  return new SecretClient(url, credential, options)
}

/**
 * Runs one operation. Throws TransientError where another try may help and TerminalError where a person must act; and
 * the reason of `permitted`, which ends the operation and all its retries.
 */
export async function guarded<T>(
  what: string,
  run: (signal: AbortSignal) => Promise<T>,
  permitted?: AbortSignal,
): Promise<T> {
  permitted?.throwIfAborted()
  const deadline = AbortSignal.timeout(OPERATION_DEADLINE)
  try {
    return await run(permitted ? AbortSignal.any([deadline, permitted]) : deadline)
  } catch (error) {
    permitted?.throwIfAborted()
    if (error instanceof TerminalError || error instanceof TransientError) throw error
    throw vaultError(what, error)
  }
}
