/** JWT bearer tokens (RFC 6750) of an issuer that OpenID Connect discovery describes, and what they say of their bearer. */
import { createRemoteJWKSet, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from "jose"
import { z } from "zod"
import { TenantId } from "../tenant.ts"

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

/** Who a token says that its bearer is. `expiresAt`: milliseconds since 1970. */
type Bearer = {
  subject: string
  tenants: ReadonlySet<TenantId>
  isAdministrator: boolean
  expiresAt: number
}

/** Why a token opens nothing. unreachable: the issuer cannot be asked now, which says nothing of the token. */
export class TokenFault extends Error {
  override readonly name = "TokenFault"
  readonly kind: "missing" | "refused" | "unreachable"
  constructor(kind: TokenFault["kind"], cause?: unknown) {
    super(`the token is ${kind}`, { cause })
    this.kind = kind
  }
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

/** Reads the values of the header Authorization. Throws TokenFault. */
export type ReadToken = (authorization: readonly string[]) => Promise<Bearer>

/** Believes whoever brings a token of this issuer. The issuer is asked when the first token comes. */
export function openTokenReader(settings: TokenSettings): ReadToken {
  const keys = discoverKeys(settings)
  return async (authorization) => {
    const { payload } = await jwtVerify(bearerOf(authorization), keys, {
      issuer: settings.issuer,
      audience: settings.audience,
      algorithms: [...settings.algorithms],
      clockTolerance: settings.clockSkew,
      requiredClaims: ["exp", "sub"],
    }).catch((error: unknown) => {
      throw new TokenFault(isOfToken(error) ? "refused" : "unreachable", error)
    })
    return toBearer(payload, settings)
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

function bearerOf(values: readonly string[]): string {
  const [value] = values
  if (value === undefined) throw new TokenFault("missing")
  const match =
    values.length === 1 && value.length <= MAX_TOKEN ? /^Bearer ([\w-]+\.[\w-]+\.[\w-]*)$/i.exec(value) : null
  if (!match) throw new TokenFault("refused", new Error("it is not one Bearer token"))
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

const Texts = z.union([z.string().transform((text) => text.split(" ")), z.array(z.string())]).catch([])
const Ids = z.union([TenantId.transform((id) => [id]), z.array(TenantId)]).catch([])

function toBearer(payload: JWTPayload, { tenantClaim, adminScope }: TokenSettings): Bearer {
  const claim = (name: string): unknown => (Object.hasOwn(payload, name) ? payload[name] : undefined)
  const scopes = ["scope", "scp", "roles"].flatMap((name) => Texts.parse(claim(name)))
  return {
    subject: payload.sub!,
    tenants: new Set(Ids.parse(claim(tenantClaim))),
    isAdministrator: scopes.includes(adminScope),
    expiresAt: payload.exp! * 1000,
  }
}
