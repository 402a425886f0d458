/** What Neon and Key Vault hold, asked for by their own protocols with the credentials of the running local world. */
import { readFileSync } from "node:fs"
import { readFile } from "node:fs/promises"
import path from "node:path"
import { parseEnv } from "node:util"
import type { TokenCredential } from "@azure/identity"
import { SecretClient, type SecretProperties } from "@azure/keyvault-secrets"

type Environment = Record<string, string>

/** What "npm start" left in `home` for others to find. Throws while nothing runs there. */
export const environmentOf = async (home: string): Promise<Environment> =>
  parseEnv(await readFile(path.join(home, "env"), "utf8")) as Environment

/** The names of all databases, sorted. */
export async function listDatabases(environment: Environment): Promise<string[]> {
  const answer = await askNeon(environment, `/branches/${environment["NEON_BRANCH_ID"]}/databases`)
  return (answer["databases"] as { name: string }[]).map(({ name }) => name).toSorted()
}

/** Every secret without its value, sorted by name. */
export async function listSecrets(environment: Environment): Promise<SecretProperties[]> {
  const secrets: SecretProperties[] = []
  for await (const secret of vaultClient(environment).listPropertiesOfSecrets()) secrets.push(secret)
  return secrets.toSorted((a, b) => a.name.localeCompare(b.name))
}

/** Everything in the running world that nobody may see printed. */
export async function listCredentials(environment: Environment): Promise<string[]> {
  const vault = vaultClient(environment)
  const enabled = (await listSecrets(environment)).filter((secret) => secret.enabled)
  const tenants = await Promise.all(enabled.map(async ({ name }) => (await vault.getSecret(name)).value!))
  const query = new URLSearchParams({
    branch_id: environment["NEON_BRANCH_ID"]!,
    database_name: "neondb",
    role_name: environment["NEON_DATABASE_OWNER"]!,
  })
  const { uri } = await askNeon(environment, `/connection_uri?${query.toString()}`)
  const passwords = [...tenants, uri as string].map((text) => new URL(text).password)
  return [environment["NEON_API_KEY"]!, environment["IDENTITY_HEADER"]!, ...passwords]
}

async function askNeon(environment: Environment, target: string): Promise<Record<string, unknown>> {
  const project = `${environment["NEON_API_URL"]}/projects/${environment["NEON_PROJECT_ID"]}`
  const headers = { Authorization: `Bearer ${environment["NEON_API_KEY"]}` }
  const response = await fetch(project + target, { headers })
  if (!response.ok) throw new Error(`Neon answers ${response.status} to GET ${target}`)
  return (await response.json()) as Record<string, unknown>
}

function vaultClient(environment: Environment): SecretClient {
  const credential: TokenCredential = {
    async getToken() {
      const query = new URLSearchParams({
        "api-version": "2019-08-01",
        resource: "https://vault.azure.net",
        client_id: environment["AZURE_CLIENT_ID"]!,
      })
      const headers = { "X-IDENTITY-HEADER": environment["IDENTITY_HEADER"]! }
      const response = await fetch(`${environment["IDENTITY_ENDPOINT"]}?${query.toString()}`, { headers })
      const { access_token, expires_on } = (await response.json()) as Record<string, string>
      return { token: access_token!, expiresOnTimestamp: Number(expires_on) * 1000 }
    },
  }
  return new SecretClient(environment["KEY_VAULT_URL"]!, credential, {
    tlsOptions: { ca: readFileSync(environment["NODE_EXTRA_CA_CERTS"]!) },
    disableChallengeResourceVerification: true,
  })
}
