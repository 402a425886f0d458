/** Azure Key Vault: the tenants' secrets, whose tags are the fleet's ledger. */
import { DefaultAzureCredential } from "@azure/identity"
import { SecretClient, type SecretClientOptions, type SecretProperties } from "@azure/keyvault-secrets"
import { TerminalError, TransientError } from "../errors.ts"
import { fromTags, type LedgerEntry, type ObservedSecret, toTags } from "../ledger.ts"
import { keepSecret } from "../log.ts"
import { secretName, type TenantId } from "../tenant.ts"
import { innerCode, retryThrottled, status, vaultError } from "./vault-errors.ts"

const toSecret = ({ name, enabled, tags, updatedOn }: SecretProperties): ObservedSecret => ({
  name,
  enabled: enabled ?? true,
  entry: fromTags(name, tags),
  changedAt: updatedOn?.getTime() ?? 0,
})

export type Vault = ReturnType<typeof openVault>

/**
 * The vault at `url`, as the identity that the environment gives (managed identity, workload identity, az login).
 * Every function throws TransientError where another try may help and TerminalError where a person must act.
 */
export function openVault(url: string) {
  const client = createClient(url)
  return {
    /** All secrets, complete or not at all; no value is read. One call per 25 secrets. */
    async list(): Promise<ObservedSecret[]> {
      return guarded("list the secrets", async (abortSignal) => {
        const secrets: ObservedSecret[] = []
        const pages = client.listPropertiesOfSecrets({ abortSignal }).byPage({ maxPageSize: 25 })
        for await (const page of pages) secrets.push(...page.map(toSecret))
        return secrets
      })
    },

    /** The connection string of a tenant that is being served. */
    async readValue(id: TenantId): Promise<string> {
      return guarded(`read the secret ${secretName(id)}`, async (abortSignal) => {
        const { value } = await client.getSecret(secretName(id), { abortSignal })
        if (!value) throw new TerminalError("SecretEmpty", `secret ${secretName(id)} has no value`)
        keepSecret(new URL(value).password)
        return value
      })
    },

    /** Writes a disabled secret whose tags say what is about to be made. */
    async reserve(entry: LedgerEntry): Promise<void> {
      await set(client, entry, "reserved", false)
    },

    /** Makes `uri` the tenant's credential, and the entry's tags true, in one write. */
    async publish(entry: LedgerEntry, uri: string): Promise<void> {
      await set(client, entry, uri, true)
    },

    /** Changes tags, and whether the secret can be read; its value stays. */
    async tag(entry: LedgerEntry, enabled: boolean): Promise<void> {
      const tags = toTags(entry)
      await guarded(`tag the secret ${secretName(entry.id)}`, (abortSignal) =>
        client.updateSecretProperties(secretName(entry.id), "", { enabled, tags, abortSignal }),
      )
    },

    /** Deletes the secret (soft: Key Vault keeps it for its retention). Deleting what is gone succeeds. */
    async forget(id: TenantId): Promise<void> {
      await guarded(`delete the secret ${secretName(id)}`, async (abortSignal) => {
        await client.beginDeleteSecret(secretName(id), { abortSignal }).catch(absent)
      })
    },
  }
}

async function set(client: SecretClient, entry: LedgerEntry, value: string, enabled: boolean): Promise<void> {
  const name = secretName(entry.id)
  const options = { enabled, tags: toTags(entry), contentType: "application/vnd.tenantry.postgres-uri" }
  await guarded(`write the secret ${name}`, async (abortSignal) => {
    try {
      await client.setSecret(name, value, { ...options, abortSignal })
    } catch (error) {
      if (innerCode(error) !== "ObjectIsDeletedButRecoverable") throw error
      const recovery = await client.beginRecoverDeletedSecret(name, { abortSignal })
      await recovery.pollUntilDone({ abortSignal })
      await client.setSecret(name, value, { ...options, abortSignal })
    }
  })
}

/** What the API needs to know of a tenant. `uri` is postgres://login:password@host:port/database. */
export type Credential =
  | { state: "active"; uri: string; fleet: string }
  | { state: "reserved" | "suspended" | "retired" }

/** undefined: proven absent. */
export type CredentialReader = (id: TenantId) => Promise<Credential | undefined>

/** Reads one tenant's credential; needs the role Key Vault Secrets User and nothing more. */
export function openCredentialReader(url: string): CredentialReader {
  const client = createClient(url)
  return (id) =>
    guarded(`read the secret ${secretName(id)}`, async (abortSignal) => {
      const name = secretName(id)
      try {
        const secret = await client.getSecret(name, { abortSignal })
        const { entry } = toSecret(secret.properties)
        if (!entry || !secret.value) {
          throw new TerminalError(
            "SecretForeign",
            `secret ${name} is not managed by Tenantry: import the tenant or rename the secret`,
          )
        }
        return { state: "active" as const, uri: secret.value, fleet: entry.fleet }
      } catch (error) {
        if (status(error) === 404) return undefined
        if (innerCode(error) !== "SecretDisabled") throw error
        return { state: await refusedState(client, name, abortSignal) }
      }
    })
}

/**
 * Why a disabled secret is disabled. Each version keeps the tags of its time, so the one that changed last counts; in
 * the same second, one that is no reservation, because every tenant begins with that.
 */
async function refusedState(
  client: SecretClient,
  name: string,
  abortSignal: AbortSignal,
): Promise<"reserved" | "suspended" | "retired"> {
  let newest: ObservedSecret | undefined
  for await (const version of client.listPropertiesOfSecretVersions(name, { abortSignal })) {
    const candidate = toSecret(version)
    const isNewer = !newest || candidate.changedAt > newest.changedAt
    const isSameSecond = candidate.changedAt === newest?.changedAt
    if (isNewer || (isSameSecond && newest?.entry?.state === "reserved")) newest = candidate
  }
  const entry = newest?.entry
  if (!entry || entry.state === "active") return "suspended"
  return entry.state
}

/** Longest that one operation, with the client's own retries, may take; in milliseconds. */
const OPERATION_DEADLINE = 60_000
const AZURE_VAULT = /\.vault\.(?:azure\.net|azure\.cn|usgovcloudapi\.net)$/

function createClient(url: string): SecretClient {
  const clientId = process.env["AZURE_CLIENT_ID"]
  const credential = new DefaultAzureCredential(clientId ? { managedIdentityClientId: clientId } : {})
  const options: SecretClientOptions = {
    additionalPolicies: [{ policy: retryThrottled(), position: "perCall" }],
    // The challenge names vault.azure.net, which only a vault of Azure's can be part of.
    disableChallengeResourceVerification: !AZURE_VAULT.test(new URL(url).hostname),
  }
  return new SecretClient(url, credential, options)
}

async function guarded<T>(what: string, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
  try {
    return await run(AbortSignal.timeout(OPERATION_DEADLINE))
  } catch (error) {
    if (error instanceof TerminalError || error instanceof TransientError) throw error
    throw vaultError(what, error)
  }
}

function absent(error: unknown): void {
  if (status(error) !== 404) throw error
}
