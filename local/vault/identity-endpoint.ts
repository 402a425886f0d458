import { timingSafeEqual } from "node:crypto"
import { afflict } from "./afflict.ts"
import type { FaultBox } from "./armed.ts"
import type { RecordedCall } from "./calls.ts"
import { issue, type Directory } from "./identity.ts"
import { Problem } from "./problem.ts"
import { jsonReply, problemReply, type Incoming, type Outcome, type Reply } from "./reply.ts"

/** The path of the managed identity endpoint. */
export const identityPath = "/msi/token"

/** What the endpoint works with; the clock in milliseconds, the life of a token in seconds. */
export type IdentityEndpoint = {
  directory: Directory
  faults: FaultBox
  record: (call: RecordedCall) => void
  now: () => number
  tokenSeconds: number
  closing: AbortSignal
}

function sameText(given: string, right: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(right)]
  return a.length === b.length && timingSafeEqual(a, b)
}

function checkRequest({ directory }: IdentityEndpoint, { method, url, identityHeader }: Incoming): void {
  if (method !== "GET" || url.pathname !== identityPath) {
    throw new Problem(501, "NotImplemented", `the local identity endpoint has only GET ${identityPath}`)
  }
  if (!sameText(identityHeader ?? "", directory.header)) {
    throw new Problem(
      401,
      "Unauthorized",
      "X-IDENTITY-HEADER is missing or wrong: send the value of IDENTITY_HEADER",
    )
  }
  const version = url.searchParams.get("api-version")
  if (version !== "2019-08-01")
    throw new Problem(400, "BadRequest", `api-version must be 2019-08-01, not ${version}`)
}

function grant({ directory, now, tokenSeconds }: IdentityEndpoint, query: URLSearchParams): Reply {
  const resource = query.get("resource")
  if (resource === null || resource === "") throw new Problem(400, "BadRequest", "resource is missing")
  const clientId = query.get("client_id") ?? ""
  if (!directory.roles.has(clientId)) {
    throw new Problem(
      400,
      "BadRequest",
      `no managed identity has the client_id "${clientId}": send AZURE_CLIENT_ID`,
    )
  }
  const { token, expiresOn } = issue(directory, { clientId, resource, seconds: tokenSeconds }, now())
  return jsonReply(200, {
    access_token: token,
    expires_on: String(expiresOn),
    resource,
    token_type: "Bearer",
    client_id: clientId,
  })
}

/**
 * Makes the function that answers like the managed identity endpoint of App Service and Container Apps: one token per
 * client id, for whoever knows the header (https://learn.microsoft.com/azure/app-service/overview-managed-identity).
 */
export function identityEndpoint(endpoint: IdentityEndpoint): (incoming: Incoming) => Promise<Outcome> {
  function attempt(incoming: Incoming): Reply {
    try {
      checkRequest(endpoint, incoming)
      return grant(endpoint, incoming.url.searchParams)
    } catch (error) {
      return problemReply(error)
    }
  }

  async function answer(incoming: Incoming): Promise<Outcome> {
    const clientId = incoming.url.searchParams.get("client_id") ?? ""
    const meeting = { method: incoming.method, route: "IdentityToken", name: undefined, clientId } as const
    const hit = endpoint.faults.meet(meeting, endpoint.now())
    if (hit === undefined) return attempt(incoming)
    return afflict(hit.fault, {
      act: async () => attempt(incoming),
      forbidden: () => problemReply(new Problem(403, "Forbidden", "The identity is not allowed here.")),
      unauthorized: () => problemReply(new Problem(401, "Unauthorized", "The identity is revoked.")),
      closing: endpoint.closing,
      released: hit.released,
    })
  }

  return async (incoming) => {
    const outcome = await answer(incoming)
    const status = outcome === "dropped" ? 0 : outcome.status
    endpoint.record({ method: incoming.method, route: "IdentityToken", status })
    return outcome
  }
}
