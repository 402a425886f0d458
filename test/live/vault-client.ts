import { DefaultAzureCredential } from "@azure/identity"
import { SecretClient } from "@azure/keyvault-secrets"

/** A vault as whoever the environment says we are: a managed identity, "az login", or another of Azure's ways. */
export function openVault(url: string): SecretClient {
  const clientId = process.env["AZURE_CLIENT_ID"]
  const credential = new DefaultAzureCredential(clientId ? { managedIdentityClientId: clientId } : {})
  const isAzure = new URL(url).hostname.endsWith(".vault.azure.net")
  return new SecretClient(url, credential, { disableChallengeResourceVerification: !isAzure })
}
