/** Variables that more than one process reads, and how they are checked. */
import { z } from "zod"
import { isTrustworthy, type TokenSettings } from "./providers/tokens.ts"

/** A whole number. */
const wholeFrom = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, { error: "must be a whole number" })
    .transform(Number)
    .refine((value) => value >= min && value <= max, { error: `must be from ${min} to ${max}` })

/** The same, which need not be set. */
export const whole = (min: number, max: number, otherwise: number) => wholeFrom(min, max).default(otherwise)

/** Items with commas between them. */
export const list = z.string().transform((text) =>
  text
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== ""),
)

const filled = (error: string) => z.string({ error }).min(1, { error })

/** None of them can be checked with a key that is public, and none goes without a key. */
const ALGORITHMS = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
]

/** Whose tokens are believed. */
export const TokenEnvironment = z.object({
  AUTH: z.enum(["on", "off"], { error: "must be on or off" }).default("on"),
  OIDC_ISSUER: z
    .url({ protocol: /^https?$/, error: "must be the issuer's address" })
    .refine((url) => isTrustworthy(new URL(url)), { error: "must be https, or on this machine" })
    .optional(),
  OIDC_AUDIENCE: z.string().min(1, { error: "must not be empty" }).optional(),
  JWT_ALGORITHMS: list
    .refine((names) => names.length > 0 && names.every((name) => ALGORITHMS.includes(name)), {
      error: `must be some of ${ALGORITHMS.join(", ")}`,
    })
    .default(["RS256", "PS256", "ES256", "EdDSA", "Ed25519"]),
  TENANT_CLAIM: filled("must be a claim's name").default("tenants"),
  ADMIN_SCOPE: filled("must be a scope").default("tenants:admin"),
  CLOCK_SKEW_SECONDS: whole(0, 300, 30),
  /** An unknown key has the issuer's keys read again at most this often. */
  JWKS_INTERVAL_MS: whole(0, 3_600_000, 10_000),
})
type TokenEnvironment = Omit<z.infer<typeof TokenEnvironment>, "TENANT_CLAIM"> & { TENANT_CLAIM?: string }

/** Who is believed to be who. */
export type Authority = { kind: "off" } | { kind: "issuer"; settings: TokenSettings }

/** undefined: neither is an issuer named, nor is everybody let in. */
export function authorityOf(environment: TokenEnvironment): Authority | undefined {
  const { AUTH, OIDC_ISSUER, OIDC_AUDIENCE } = environment
  if (AUTH === "off") return { kind: "off" }
  if (OIDC_ISSUER === undefined || OIDC_AUDIENCE === undefined) return undefined
  const settings: TokenSettings = {
    issuer: OIDC_ISSUER,
    audience: OIDC_AUDIENCE,
    algorithms: environment.JWT_ALGORITHMS,
    tenantClaim: environment.TENANT_CLAIM ?? "tenants",
    adminScope: environment.ADMIN_SCOPE,
    clockSkew: environment.CLOCK_SKEW_SECONDS,
    keyInterval: environment.JWKS_INTERVAL_MS,
  }
  return { kind: "issuer", settings }
}

/** What is told of the process itself. The names that begin with OTEL_ are OpenTelemetry's, whose SDK reads them. */
export const TelemetryEnvironment = z.object({
  /** on: the metrics name tenants, which makes as many series as there are tenants. */
  METRICS_TENANT_LABEL: z.enum(["on", "off"], { error: "must be on or off" }).default("off"),
  /** Where /metrics is served to whoever reaches it, on a port of its own so that no ingress shows it; nowhere when not set. */
  METRICS_PORT: wholeFrom(0, 65_535).optional(),
  METRICS_HOST: z.string().min(1, { error: "must be an address" }).optional(),
  OTEL_EXPORTER_OTLP_ENDPOINT: z.string().optional(),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: z.string().optional(),
  OTEL_EXPORTER_OTLP_PROTOCOL: z.string().optional(),
  OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: z.string().optional(),
  OTEL_EXPORTER_OTLP_HEADERS: z.string().optional(),
  OTEL_TRACES_EXPORTER: z.string().optional(),
  OTEL_TRACES_SAMPLER: z.string().optional(),
  OTEL_TRACES_SAMPLER_ARG: z.string().optional(),
  OTEL_RESOURCE_ATTRIBUTES: z.string().optional(),
  OTEL_SERVICE_NAME: z.string().optional(),
  OTEL_SDK_DISABLED: z.string().optional(),
})
