import { SecretClient } from "@azure/keyvault-secrets"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { request } from "node:https"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { startVault, type VaultOptions, type VaultServer } from "../../local/vault.ts"

/** Pollers of the client ask this often; the clock of the tests, not time itself, ends what they wait for. */
export const polling = { intervalInMs: 5 }

/** A vault in a folder of its own, gone with `await using`. */
export async function testVault(options: Omit<VaultOptions, "directory"> = {}) {
  const directory = mkdtempSync(join(tmpdir(), "vault-"))
  const server = await startVault({ directory, recoverableDelayMs: 0, irregularPages: 0, ...options })
  return {
    server,
    directory,
    async [Symbol.asyncDispose]() {
      await server.close()
      rmSync(directory, { recursive: true })
    },
  }
}

/** Asks the identity endpoint for a token as any outside client would. */
export async function askToken(
  { identity }: Pick<VaultServer, "identity">,
  clientId: string,
  resource = "https://vault.azure.net",
): Promise<{ access_token: string; expires_on: string }> {
  const query = new URLSearchParams({ "api-version": "2019-08-01", resource, client_id: clientId })
  const response = await fetch(`${identity.endpoint}?${query.toString()}`, {
    headers: { "X-IDENTITY-HEADER": identity.header },
  })
  if (!response.ok) throw new Error(`identity endpoint: ${response.status} ${await response.text()}`)
  return (await response.json()) as { access_token: string; expires_on: string }
}

/** The real client, as one of the vault's two identities, without retries. */
export function clientOf(
  server: Pick<VaultServer, "identity" | "url" | "caFile">,
  who: "api" | "reconciler" = "reconciler",
): SecretClient {
  const credential = {
    async getToken() {
      const { access_token, expires_on } = await askToken(server, server.identity.clients[who])
      return { token: access_token, expiresOnTimestamp: Number(expires_on) * 1000 }
    },
  }
  return new SecretClient(server.url, credential, {
    disableChallengeResourceVerification: true,
    retryOptions: { maxRetries: 0 },
    tlsOptions: { ca: readFileSync(server.caFile, "utf8") },
  })
}

/** An answer as it came over the wire. */
export type RawAnswer = { status: number; headers: Record<string, unknown>; text: string }

/** One request without the client; rejects when the connection breaks. */
export function raw(
  server: VaultServer,
  method: string,
  path: string,
  { token, body }: { token?: string; body?: unknown } = {},
): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
    const sent = request(
      path.startsWith("https:") ? path : server.url + path,
      { method, headers, ca: readFileSync(server.caFile) },
      (response) => {
        let text = ""
        response.setEncoding("utf8")
        response.on("data", (chunk: string) => {
          text += chunk
        })
        response.on("error", reject)
        response.on("end", () => {
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text })
        })
      },
    )
    sent.on("error", reject)
    sent.end(body === undefined ? undefined : JSON.stringify(body))
  })
}

/** The status and the two error codes with which the client's promise was refused. */
export async function refusal(
  promise: Promise<unknown>,
): Promise<{ status: number | undefined; code: string | undefined; inner: string | undefined }> {
  try {
    await promise
  } catch (error) {
    const { statusCode, code, details } = error as {
      statusCode?: number
      code?: string
      details?: { error?: { innerError?: { code?: string } } }
    }
    return { status: statusCode, code, inner: details?.error?.innerError?.code }
  }
  throw new Error("expected a refusal, and the call succeeded")
}

/** All items of an async iterable. */
export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}
