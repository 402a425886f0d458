/** What Key Vault's failures mean. The SDK's errors hold requests with tokens, so none of them leaves this file. */
import { setTimeout as sleep } from "node:timers/promises"
import type { SecretClientOptions } from "@azure/keyvault-secrets"
import { z } from "zod"
import { TerminalError, TransientError } from "../errors.ts"

const Failure = z.object({
  statusCode: z.number().optional(),
  code: z.string().optional(),
  details: z
    .object({ error: z.object({ innerError: z.object({ code: z.string() }).optional() }) })
    .optional()
    .catch(undefined),
})

const read = (error: unknown) => Failure.safeParse(error).data ?? {}
/** Whether the vault itself says that there is no such secret; a proxy's 404 says nothing. */
export const isAbsent = (error: unknown): boolean => {
  const { statusCode, code } = read(error)
  return statusCode === 404 && code === "SecretNotFound"
}
export const innerCode = (error: unknown): string | undefined =>
  Failure.safeParse(error).data?.details?.error.innerError?.code

export const isThrottled = (error: unknown): boolean => read(error).statusCode === 429

/** The errors of @azure/identity: none of its credentials could get a token. */
const NO_TOKEN: ReadonlySet<string> = new Set([
  "AggregateAuthenticationError",
  "AuthenticationError",
  "AuthenticationRequiredError",
  "CredentialUnavailableError",
])

/** The SDK's failure as one of ours: what was tried, what the service said, and no more. */
export function vaultError(what: string, error: unknown): TerminalError | TransientError {
  const { statusCode, code } = read(error)
  const inner = innerCode(error)
  const said =
    [statusCode, inner ?? code].filter(Boolean).join(" ") ||
    (error instanceof Error ? error.name : "no answer")
  if (error instanceof Error && NO_TOKEN.has(error.name)) {
    return new TransientError(
      "NoToken",
      `no token for Key Vault, so could not ${what} (${error.name}): check the identity that the environment gives (AZURE_CLIENT_ID, IDENTITY_ENDPOINT)`,
    )
  }
  if (statusCode === 401 || statusCode === 403) {
    // A role assignment takes minutes to reach the data plane, so a refusal is worth another try.
    return new TransientError(
      "VaultForbidden",
      `Key Vault refused to ${what} (${said}): give this identity its role on the vault`,
    )
  }
  if (isThrottled(error))
    return new TransientError("VaultThrottled", `Key Vault throttles: could not ${what} (${said})`)
  if (inner === "ObjectIsBeingDeleted" || inner === "ObjectIsBeingRecovered") {
    return new TransientError("SecretBusy", `could not ${what}: its deletion or recovery is still under way`)
  }
  if (!isRefusal(statusCode, code)) {
    return new TransientError("VaultUnavailable", `Key Vault did not answer: could not ${what} (${said})`)
  }
  return new TerminalError("VaultRejected", `Key Vault refused to ${what} (${said})`)
}

/** Whether the vault itself said no: a proxy's page and half an answer carry none of its error codes. */
const isRefusal = (statusCode: number | undefined, code: string | undefined): boolean =>
  statusCode !== undefined &&
  statusCode >= 400 &&
  statusCode < 500 &&
  statusCode !== 408 &&
  code !== undefined &&
  code !== "PARSE_ERROR"

type PipelinePolicy = NonNullable<SecretClientOptions["additionalPolicies"]>[number]["policy"]

/** The service sends 429 without Retry-After, and the SDK retries only with it: 1, 2, 4, 8, 16 s with jitter. */
export const retryThrottled = (): PipelinePolicy => ({
  name: "retryThrottled",
  async sendRequest(request, next) {
    for (let attempt = 0; ; attempt++) {
      const response = await next(request)
      if (response.status !== 429 || attempt === 5) return response
      const pause = 1000 * 2 ** attempt * (0.75 + Math.random() / 2)
      const { abortSignal } = request
      await sleep(pause, undefined, abortSignal instanceof AbortSignal ? { signal: abortSignal } : {})
    }
  },
})
