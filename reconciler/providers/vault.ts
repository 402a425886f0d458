/** Azure Key Vault: the tenants' secrets, whose tags are the fleet's ledger. */
import type { SecretClient, SecretProperties } from "@azure/keyvault-secrets"
import { TerminalError } from "../errors.ts"
import { fromTags, type LedgerEntry, type ObservedSecret, toTags } from "../ledger.ts"
import { secretName, type TenantId } from "../tenant.ts"
import { createTokenBucket, type Permit } from "./pacing.ts"
import { createVaultClient, guarded } from "./vault-client.ts"
import { innerCode, isAbsent, isThrottled } from "./vault-errors.ts"
import { createReader, toSecret } from "./vault-reading.ts"
import { rememberWrites, type Writes, WRITTEN_AT } from "./vault-writes.ts"

export type Vault = ReturnType<typeof openVault>

/**
 * The vault at `url`, as the identity that the environment gives (managed identity, workload identity, az login).
 * Every function throws TransientError where another try may help and TerminalError where a person must act.
 */
export function openVault(
  url: string,
  { writesPerSecond, permit }: { writesPerSecond: number; permit: Permit },
) {
  const client = createVaultClient(url)
  const take = createTokenBucket(writesPerSecond, "vault writes")
  const writes = rememberWrites()
  const read = createReader()

  /** `enabled`: undefined leaves that as it is. */
  async function tag(entry: LedgerEntry, enabled: boolean | undefined): Promise<void> {
    await take()
    const tags = tagsNow(entry)
    const name = secretName(entry.id)
    await guarded(
      `tag the secret ${name}`,
      (abortSignal) =>
        client.updateSecretProperties(name, "", {
          ...(enabled === undefined ? {} : { enabled }),
          tags,
          abortSignal,
        }),
      permit.signal,
    )
    writes.note(name, tags[WRITTEN_AT])
  }

  return {
    /**
     * All secrets, complete and with our own writes, or it throws; no value is read. One call per 25 secrets. The same
     * value as the last time where they are the same.
     */
    async list(): Promise<readonly ObservedSecret[]> {
      return guarded("list the secrets", async (abortSignal) => {
        const reading = read()
        const pages = client.listPropertiesOfSecrets({ abortSignal }).byPage({ maxPageSize: 25 })
        for await (const page of ahead(pages)) {
          writes.assertShown(page)
          for (const properties of page) reading.add(properties)
        }
        return reading.keep()
      })
    },

    /** Whether the tenant has a secret, asked for by name: what a list lacks may only be missing from the list. */
    async has(id: TenantId): Promise<boolean> {
      return guarded(`look for the secret ${secretName(id)}`, async (abortSignal) => {
        const versions = client.listPropertiesOfSecretVersions(secretName(id), { abortSignal })
        for await (const _ of versions) return true
        return false
      })
    },

    /** Writes a disabled secret whose tags say what is about to be made. */
    async reserve(entry: LedgerEntry): Promise<void> {
      await take()
      await set(client, writes, entry, { value: "reserved", enabled: false, permit })
    },

    /** Makes `uri` the tenant's credential, and the entry's tags true, in one write. */
    async publish(entry: LedgerEntry, uri: string): Promise<void> {
      await take()
      await set(client, writes, entry, { value: uri, enabled: true, permit })
    },

    /** Changes the tags; the value stays, and can be read while the entry's state is active. */
    record: (entry: LedgerEntry): Promise<void> => tag(entry, entry.state === "active"),

    /** Changes the tags and nothing else: a secret that was disabled, for whatever reason, stays disabled. */
    annotate: (entry: LedgerEntry): Promise<void> => tag(entry, undefined),

    /** Deletes the secret (soft: Key Vault keeps it for its retention). Deleting what is gone succeeds. */
    async forget(id: TenantId): Promise<void> {
      await take()
      const remove = async (abortSignal: AbortSignal) => {
        await client.beginDeleteSecret(secretName(id), { abortSignal }).catch(absent)
      }
      await guarded(`delete the secret ${secretName(id)}`, remove, permit.signal)
      writes.note(secretName(id), undefined)
    },
  }
}

async function set(
  client: SecretClient,
  writes: Writes,
  entry: LedgerEntry,
  { value, enabled, permit }: { value: string; enabled: boolean; permit: Permit },
): Promise<void> {
  const name = secretName(entry.id)
  const tags = tagsNow(entry)
  const options = { enabled, tags, contentType: "application/vnd.tenantry.postgres-uri" }
  const write = async (abortSignal: AbortSignal) => {
    try {
      await client.setSecret(name, value, { ...options, abortSignal })
    } catch (error) {
      if (innerCode(error) !== "ObjectIsDeletedButRecoverable") throw error
      const recovery = await client.beginRecoverDeletedSecret(name, { abortSignal })
      await recovery.pollUntilDone({ abortSignal })
      await client.setSecret(name, value, { ...options, abortSignal })
    }
  }
  await guarded(`write the secret ${name}`, write, permit.signal)
  writes.note(name, tags[WRITTEN_AT])
}

/** The same items; the next one is on its way while one is looked at. */
async function* ahead<T>(items: AsyncIterator<T>): AsyncGenerator<T> {
  for (let coming = items.next(); ;) {
    const { done, value } = await coming
    if (done) return
    coming = items.next()
    // Whoever stops early does not hear of what goes wrong later.
    coming.catch(() => {})
    yield value
  }
}

/** What the API needs to know of a tenant. `uri` is postgres://login:password@host:port/database. */
export type Credential =
  | { state: "active"; uri: string; fleet: string }
  | { state: "reserved" | "suspended" | "retired" }

/** undefined: proven absent. */
export type CredentialReader = (id: TenantId) => Promise<Credential | undefined>

/** Reads one tenant's credential; needs the role Key Vault Secrets User and nothing more. */
export function openCredentialReader(url: string): CredentialReader {
  const client = createVaultClient(url)
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
        if (isAbsent(error)) return undefined
        if (innerCode(error) !== "SecretDisabled") throw error
        return { state: await refusedState(client, name, abortSignal) }
      }
    })
}

/** The nil UUID, which no tenant may have. */
const NOBODY = "00000000-0000-0000-0000-000000000000" as TenantId

/**
 * Asks once whether the vault at `url` answers this identity, and gives up when the signal aborts. That it throttles is
 * an answer: what was read before is served all the same. Throws as the others do where it does not answer, or refuses.
 */
export function openVaultProbe(url: string): (signal: AbortSignal) => Promise<void> {
  const client = createVaultClient(url, { isPatient: false })
  const ask = async (abortSignal: AbortSignal) => {
    try {
      await client.getSecret(secretName(NOBODY), { abortSignal })
    } catch (error) {
      if (!isAbsent(error) && !isThrottled(error)) throw error
    }
  }
  return (signal) => guarded("reach it", ask, signal)
}

/** Why a disabled secret is disabled. Each of its versions keeps the tags of its time, so the newest words count. */
async function refusedState(
  client: SecretClient,
  name: string,
  abortSignal: AbortSignal,
): Promise<"reserved" | "suspended" | "retired"> {
  let newest: SecretProperties | undefined
  for await (const version of client.listPropertiesOfSecretVersions(name, { abortSignal })) {
    if (!newest || writtenAt(version) > writtenAt(newest)) newest = version
  }
  const state = newest && fromTags(name, newest.tags)?.state
  if (!state || state === "active") return "suspended"
  return state === "purging" ? "retired" : state
}

const writtenAt = (version: SecretProperties | undefined) => version?.tags?.[WRITTEN_AT] ?? ""
const tagsNow = (entry: LedgerEntry) => ({ ...toTags(entry), [WRITTEN_AT]: new Date().toISOString() })

function absent(error: unknown): void {
  if (!isAbsent(error)) throw error
}
