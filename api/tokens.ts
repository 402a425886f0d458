/** Callers by JWT bearer tokens (RFC 6750), of an issuer that OpenID Connect discovery describes. */
import type { Request } from "express"
import { createRemoteJWKSet, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from "jose"
import { z } from "zod"
import type { Logger } from "../reconciler/log.ts"
import { TenantId } from "../reconciler/tenant.ts"
import type { Authenticate, Caller } from "./caller.ts"
import { forLog } from "./failures.ts"
import { Problem } from "./problems.ts"

export type TokenSettings = {
  issuer: string
  audience: string
  /** Signature algorithms that are accepted; asymmetric ones only. */
  algorithms: readonly string[]
  /** The claim that holds the id, or the ids, of the tenants that the caller may use. */
  tenantClaim: string
  /** In `scope` (or `scp`, or `roles`) it makes an administrator. */
  adminScope: string
  /** How far the issuer's clock may be off, in seconds. */
  clockSkew: number
  /** A key that is not known has the issuer's keys read again at most this often, in milliseconds. */
  keyInterval: number
}

/** Milliseconds. */
const TIME_LIMIT = 5000
const KEYS_MAX_AGE = 600_000
/** Longest header value that is looked at. */
const MAX_TOKEN = 16_384

const Discovery = z.object({ issuer: z.string(), jwks_uri: z.url() })

/** Only over TLS, or on this machine: who can change the answer can sign every token. */
export function isTrustworthy(url: URL): boolean {
  return url.protocol === "https:" || ["localhost", "127.0.0.1", "[::1]"].includes(url.hostname)
}

/** Believes whoever brings a token of this issuer. The issuer is asked when the first token comes. */
export function believeTokens(settings: TokenSettings, log: Logger): Authenticate {
  const keys = discoverKeys(settings)
  return async (request) => {
    const token = readBearer(request)
    const { payload } = await jwtVerify(token, keys, {
      issuer: settings.issuer,
      audience: settings.audience,
      algorithms: [...settings.algorithms],
      clockTolerance: settings.clockSkew,
      requiredClaims: ["exp", "sub"],
    }).catch((error: unknown) => {
      throw isOfToken(error) ? refused(error) : unreachable(error, log)
    })
    return toCaller(payload, settings)
  }
}

function discoverKeys({ issuer, keyInterval }: TokenSettings): JWTVerifyGetKey {
  let discovered: Promise<JWTVerifyGetKey> | undefined
  const discover = async () => {
    const response = await fetch(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`, {
      signal: AbortSignal.timeout(TIME_LIMIT),
      redirect: "error",
    })
    if (!response.ok) throw new Error(`the issuer answered ${response.status}`)
    const found = Discovery.parse(await response.json())
    if (found.issuer !== issuer) throw new Error(`the issuer calls itself ${found.issuer.slice(0, 200)}`)
    const url = new URL(found.jwks_uri)
    if (!isTrustworthy(url)) throw new Error("the issuer's jwks_uri is not https")
    return createRemoteJWKSet(url, {
      timeoutDuration: TIME_LIMIT,
      cooldownDuration: keyInterval,
      cacheMaxAge: KEYS_MAX_AGE,
    })
  }
  return async (header, token) => {
    discovered ??= discover().catch((error: unknown) => {
      discovered = undefined
      throw error
    })
    return (await discovered)(header, token)
  }
}

function readBearer(request: Request): string {
  const values = request.headersDistinct["authorization"] ?? []
  const [value] = values
  if (value === undefined) {
    throw new Problem("token-missing", "the header Authorization is missing", { authenticate: "Bearer" })
  }
  const match =
    values.length === 1 && value.length <= MAX_TOKEN ? /^Bearer ([\w-]+\.[\w-]+\.[\w-]*)$/i.exec(value) : null
  if (!match) throw refused(new Error("it is not one Bearer token"))
  return match[1]!
}

/** Faults of the token; every other error is about reaching the issuer. */
function isOfToken(error: unknown): boolean {
  if (!(error instanceof errors.JOSEError)) return false
  return !(
    error instanceof errors.JWKSTimeout ||
    error instanceof errors.JWKSInvalid ||
    error.code === "ERR_JOSE_GENERIC"
  )
}

const refused = (error: unknown) =>
  new Problem("token-invalid", "the token is not valid here, or no longer", {
    authenticate: 'Bearer error="invalid_token"',
    cause: error,
  })

function unreachable(error: unknown, log: Logger): Problem {
  log.warn({ error: forLog(error) }, "the issuer's keys cannot be read")
  return new Problem("issuer-unavailable", "tokens cannot be checked at the moment", {
    retryAfter: 1,
    cause: error,
  })
}

const Texts = z.union([z.string().transform((text) => text.split(" ")), z.array(z.string())]).catch([])
const Ids = z.union([TenantId.transform((id) => [id]), z.array(TenantId)]).catch([])

function toCaller(payload: JWTPayload, { tenantClaim, adminScope }: TokenSettings): Caller {
  const claim = (name: string): unknown => (Object.hasOwn(payload, name) ? payload[name] : undefined)
  const tenants = new Set(Ids.parse(claim(tenantClaim)))
  const scopes = ["scope", "scp", "roles"].flatMap((name) => Texts.parse(claim(name)))
  return {
    name: payload.sub!,
    mayUse: (tenant) => tenants.has(tenant),
    isAdministrator: scopes.includes(adminScope),
  }
}
