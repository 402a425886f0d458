import { DefaultAzureCredential } from "@azure/identity"
import { SecretClient } from "@azure/keyvault-secrets"

/** Deletes these tenants' secrets, and purges them where the vault lets it. */
export async function removeSecrets(
  url: string,
  ids: readonly string[],
  say: (text: string) => void,
): Promise<void> {
  const clientId = process.env["AZURE_CLIENT_ID"]
  const credential = new DefaultAzureCredential(clientId ? { managedIdentityClientId: clientId } : {})
  const isAzure = new URL(url).hostname.endsWith(".vault.azure.net")
  const client = new SecretClient(url, credential, { disableChallengeResourceVerification: !isAzure })
  for (const id of ids) {
    const name = `tenant-${id}`
    const deletion = await client.beginDeleteSecret(name).catch((error: unknown) => {
      if ((error as { statusCode?: number }).statusCode === 404) return undefined
      throw error
    })
    await deletion?.pollUntilDone()
    await client.purgeDeletedSecret(name).catch((error: unknown) => {
      if (![403, 404].includes((error as { statusCode?: number }).statusCode ?? 0)) throw error
      say(`      ${name} stays among the deleted secrets until the vault forgets it: purge protection`)
    })
  }
}
