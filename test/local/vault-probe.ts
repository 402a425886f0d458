import { DefaultAzureCredential, ManagedIdentityCredential } from "@azure/identity"
import { SecretClient } from "@azure/keyvault-secrets"

// Run as a process of its own: the environment is all it is given, as in production.
const [kind, name = "probe"] = process.argv.slice(2)
const clientId = process.env["AZURE_CLIENT_ID"] ?? ""
const credential =
  kind === "default" ? new DefaultAzureCredential() : new ManagedIdentityCredential({ clientId })
const client = new SecretClient(process.env["KEY_VAULT_URL"] ?? "", credential, {
  disableChallengeResourceVerification: true,
})

async function attempt(what: () => Promise<unknown>): Promise<unknown> {
  try {
    return await what()
  } catch (error) {
    const { statusCode, details } = error as {
      statusCode?: number
      details?: { error?: { innerError?: { code?: string } } }
    }
    return `${statusCode} ${details?.error?.innerError?.code}`
  }
}

const set = await attempt(async () => (await client.setSecret(`${name}-${kind}`, "by probe")).value)
const get = await attempt(async () => (await client.getSecret(name)).value)
process.stdout.write(JSON.stringify({ set, get }))
