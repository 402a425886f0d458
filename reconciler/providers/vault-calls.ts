/** What the metrics and the traces are told of requests to Key Vault. */
import type { SecretClientOptions } from "@azure/keyvault-secrets"
import { countRetry, observeCall } from "../calls.ts"
import { passOnTrace } from "../spans.ts"

type PipelinePolicy = NonNullable<SecretClientOptions["additionalPolicies"]>[number]["policy"]
type Request = Parameters<PipelinePolicy["sendRequest"]>[0]

const READING = {
  done: ({ status }: { status: number }) => status,
  failed: () => undefined,
}

/** Counts, times and traces each try of a request. At position perRetry: a request that comes again is a retry. */
export function observeRequests(): PipelinePolicy {
  /** What each request was answered before; undefined where there was no answer. */
  const tried = new WeakMap<Request, number | undefined>()
  return {
    name: "observeRequests",
    async sendRequest(request, next) {
      // The challenge that each client meets first is answered by the same request with its token.
      if (tried.has(request) && tried.get(request) !== 401) countRetry("vault", tried.get(request))
      tried.set(request, undefined)
      const response = await observeCall("vault", operationOf(request), READING, () => {
        passOnTrace((name, value) => request.headers.set(name, value))
        return next(request)
      })
      tried.set(request, response.status)
      return response
    },
  }
}

const NAMES: Record<string, string> = {
  GET: "getSecret",
  PUT: "setSecret",
  PATCH: "updateSecret",
  DELETE: "deleteSecret",
}

/** A name from a small set: no secret's name is in it. */
function operationOf({ method, url }: Request): string {
  const { pathname } = new URL(url)
  const [, collection, , last] = pathname.split("/")
  if (collection === "deletedsecrets") return method === "POST" ? "recoverSecret" : "getDeletedSecret"
  if (collection !== "secrets") return "other"
  if (last === "versions") return "listVersions"
  if (method === "GET" && /^\/secrets\/?$/.test(pathname)) return "listSecrets"
  return NAMES[method] ?? "other"
}
