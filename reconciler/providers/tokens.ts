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
/** After so long, and after the keys could not be read, the issuer is asked again where they are. */
const DISCOVERY_MAX_AGE = 3_600_000
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

/** The issuer's keys where it says that they are; `url` tells whether another answer says the same. */
type Found = { url: string; keys: JWTVerifyGetKey; at: number }

function discoverKeys({ issuer, keyInterval }: TokenSettings): JWTVerifyGetKey {
  let found: Found | undefined
  let looking: Promise<Found> | undefined
  const discover = async (before: Found | undefined): Promise<Found> => {
    const response = await fetch(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`, {
      signal: AbortSignal.timeout(TIME_LIMIT),
      redirect: "error",
    })
    if (!response.ok) throw new Error(`the issuer answered ${response.status}`)
    const said = Discovery.parse(await response.json())
    if (said.issuer !== issuer) throw new Error(`the issuer calls itself ${said.issuer.slice(0, 200)}`)
    const url = new URL(said.jwks_uri)
    if (!isTrustworthy(url)) throw new Error("the issuer's jwks_uri is not https")
    const at = performance.now()
    // What is known of the keys, and when they were read last, stays known.
    if (url.href === before?.url) return { ...before, at }
    const keys = createRemoteJWKSet(url, {
      timeoutDuration: TIME_LIMIT,
      cooldownDuration: keyInterval,
      cacheMaxAge: KEYS_MAX_AGE,
    })
    return { url: url.href, keys, at }
  }
  const look = async (): Promise<Found> => {
    looking ??= discover(found).finally(() => (looking = undefined))
    return (found = await looking)
  }
  return async (header, token) => {
    const held = found
    const isOld = held === undefined || performance.now() - held.at > DISCOVERY_MAX_AGE
    // Where the issuer cannot say it again, the keys may still be where they were.
    const { keys } = isOld ? await look().catch((error: unknown) => held ?? raise(error)) : held
    try {
      return await keys(header, token)
    } catch (error) {
      if (!isOfToken(error) && found) found.at = Number.NEGATIVE_INFINITY
      throw error
    }
  }
}

const raise = (error: unknown): never => {
  throw error
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
