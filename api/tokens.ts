/** Callers by their tokens. */
import type { Logger } from "../reconciler/log.ts"
import { openTokenReader, TokenFault, type TokenSettings } from "../reconciler/providers/tokens.ts"
import type { Authenticate } from "./caller.ts"
import { forLog } from "./failures.ts"
import { Problem } from "./problems.ts"

/** Believes whoever brings a token of this issuer. The issuer is asked when the first token comes. */
export function believeTokens(settings: TokenSettings, log: Logger): Authenticate {
  const readToken = openTokenReader(settings)
  return async (request) => {
    const { subject, tenants, isAdministrator } = await readToken(
      request.headersDistinct["authorization"] ?? [],
    ).catch((error: unknown) => {
      throw error instanceof TokenFault ? toProblem(error, log) : error
    })
    return { name: subject, mayUse: (tenant) => tenants.has(tenant), isAdministrator }
  }
}

function toProblem({ kind, cause }: TokenFault, log: Logger): Problem {
  if (kind === "missing")
    return new Problem("token-missing", "the header Authorization is missing", { authenticate: "Bearer" })
  if (kind === "refused") {
    const authenticate = 'Bearer error="invalid_token"'
    return new Problem("token-invalid", "the token is not valid here, or no longer", { authenticate, cause })
  }
  log.warn({ error: forLog(cause) }, "the issuer's keys cannot be read")
  return new Problem("issuer-unavailable", "tokens cannot be checked at the moment", { retryAfter: 1, cause })
}
