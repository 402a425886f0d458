/** What the API answers when it cannot do what it was asked: RFC 9457 problem details. */
import type { Response } from "express"

/** Every problem: its status, its title, and what the caller can do. Its `type` is `/problems/<key>`, for ever. */
export const PROBLEMS = {
  "tenant-missing": [400, "No tenant named", "Name the tenant as detail says."],
  "tenant-malformed": [400, "Not a tenant's id", "Send one UUID in the tenant header."],
  "tenant-repeated": [400, "More than one tenant named", "Send the header once."],
  "tenant-ambiguous": [400, "Two tenants named", "Name one tenant, or the same one in every way."],
  "token-missing": [401, "Not signed in", "Send Authorization: Bearer and a token of the issuer."],
  "token-invalid": [401, "Token is not valid", "Get a new token of the issuer, for this audience."],
  "tenant-forbidden": [
    403,
    "Token is not for this tenant",
    "Get a token whose tenant claim holds the tenant's id.",
  ],
  "not-administrator": [403, "Not an administrator", "Get a token with the administrators' scope."],
  "tenants-read-only": [
    409,
    "Tenants are changed in Git",
    "Open a pull request that changes the tenant's file.",
  ],
  "tenants-busy": [503, "Tenants are being changed", "Try again after the seconds in Retry-After."],
  "tenant-name-taken": [409, "Name belongs to another tenant", "Choose another name."],
  "tenant-host-taken": [
    409,
    "Host belongs to another tenant",
    "Choose another host, or take it from that tenant first.",
  ],
  "tenant-protected": [409, "Tenant is protected", "Remove the line protected from its file first."],
  "rate-exceeded": [429, "Too many requests", "Try again after the seconds in Retry-After."],
  "issuer-unavailable": [503, "Tokens cannot be checked", "Try again after the seconds in Retry-After."],
  "tenant-not-found": [404, "Unknown tenant", "Check the tenant's id."],
  "tenant-reserved": [503, "Tenant is being made", "Try again after the seconds in Retry-After."],
  "tenant-suspended": [403, "Tenant is suspended", "Ask who runs this service to resume the tenant."],
  "tenant-retired": [410, "Tenant is retired", "Ask who runs this service; data is kept for a grace period."],
  "vault-unavailable": [503, "Credentials out of reach", "Try again after the seconds in Retry-After."],
  "database-unavailable": [503, "Database out of reach", "Try again after the seconds in Retry-After."],
  "database-mismatch": [503, "Database is not the tenant's", "Nothing was read. Tell who runs this service."],
  "database-busy": [503, "Too many requests at once", "Try again after the seconds in Retry-After."],
  "schema-behind": [503, "Tenant's schema is behind", "Try again after the seconds in Retry-After."],
  "database-timeout": [503, "Database took too long", "Nothing was changed. Ask for less, or try again."],
  "outcome-unknown": [503, "Change may or may not be made", "Read it back before you send it again."],
  "request-malformed": [400, "Request cannot be understood", "See detail."],
  "request-invalid": [400, "Request has invalid values", "See errors: what is wrong, and where."],
  "body-malformed": [400, "Body is not JSON", "Send one JSON object in UTF-8."],
  "body-too-large": [413, "Body is too large", "Send at most 100,000 bytes."],
  "body-not-json": [415, "Body is not JSON", "Send Content-Type: application/json in UTF-8, not compressed."],
  "route-not-found": [404, "No such address", "Check the path."],
  "method-not-allowed": [405, "Method not allowed", "Use a method that the header Allow names."],
  "product-not-found": [404, "No such product", "Check the product's id."],
  "user-not-found": [404, "No such user", "Check the user's id."],
  "cart-not-found": [404, "No such cart", "Check the cart's id."],
  "cart-item-not-found": [404, "Product is not in the cart", "Add the product first."],
  "product-in-use": [409, "Product is in carts", "Take the product out of these carts first."],
  "user-in-use": [409, "User has carts", "Delete these carts first."],
  "email-taken": [409, "Address belongs to another user", "Use another address, or change that user."],
  "changed-meanwhile": [412, "Changed meanwhile", "Read it again; its ETag is in the header."],
  "idempotency-key-reused": [422, "Idempotency-Key belongs to another request", "Use a new key."],
  "unknown-user": [422, "User does not exist", "Name a user of this tenant."],
  "unknown-product": [422, "Product does not exist", "Name a product of this tenant."],
  "cart-full": [422, "Cart is full", "Take something out, or use another cart."],
  "quantity-too-large": [422, "Quantity is too large", "See detail."],
  "head-too-large": [431, "Head is too large", "Send shorter headers: 16 KiB in all."],
  "request-too-slow": [
    408,
    "Request took too long",
    "Send its head within 10 seconds, and all of it within 30.",
  ],
  "expectation-unknown": [417, "Expectation cannot be met", "Send no Expect, or 100-continue."],
  "problem-not-found": [404, "No such problem", "See GET /problems."],
  internal: [500, "Something went wrong here", "Tell who runs this service the requestId."],
} as const satisfies Record<string, readonly [status: number, title: string, remedy: string]>
export type ProblemKey = keyof typeof PROBLEMS

/** So many requests of one `name` ("tenant", "caller") are let through in `window` seconds. */
type Limit = { name: string; quota: number; window: number }

type Extra = {
  /** Seconds, for the header Retry-After. */
  retryAfter?: number
  /** What is used up, for the headers RateLimit-Policy and RateLimit. */
  limit?: Limit
  /** For the header Allow. */
  allow?: string
  /** For the header ETag. */
  etag?: string
  /** For the header WWW-Authenticate. */
  authenticate?: string
  /** More members of the answer. */
  members?: Record<string, unknown>
  cause?: unknown
}

/** Thrown to answer with a problem. `detail` is read by the caller: no SQL, host or credential in it. */
export class Problem extends Error {
  override readonly name = "Problem"
  readonly key: ProblemKey
  readonly extra: Extra
  constructor(key: ProblemKey, detail: string, extra: Extra = {}) {
    super(detail, { cause: extra.cause })
    this.key = key
    this.extra = extra
  }
}

/** What a limit is, and that nothing is left of it for `seconds`: structured fields of draft-ietf-httpapi-ratelimit-headers-10. */
const limitFields = ({ name, quota, window }: Limit, seconds: number) => ({
  "RateLimit-Policy": `"${name}";q=${quota};w=${window}`,
  RateLimit: `"${name}";r=0;t=${seconds}`,
})

/** Writes the answer; `requestId` is in the log line about it too. */
export function sendProblem(response: Response, problem: Problem, requestId: string): void {
  const body = problemJson(problem.key, problem.message, requestId)
  const { retryAfter, limit, allow, etag, authenticate, members } = problem.extra
  if (retryAfter !== undefined) response.set("Retry-After", String(retryAfter))
  if (limit !== undefined) response.set(limitFields(limit, retryAfter ?? limit.window))
  if (allow !== undefined) response.set("Allow", allow)
  if (etag !== undefined) response.set("ETag", etag)
  if (authenticate !== undefined) response.set("WWW-Authenticate", authenticate)
  response
    .status(body.status)
    .type("application/problem+json")
    .json({ ...body, ...members })
}

/** The members that every problem has. */
export const problemJson = (key: ProblemKey, detail: string, requestId: string) => {
  const [status, title] = PROBLEMS[key]
  return { type: `/problems/${key}`, title, status, detail, requestId }
}

/** What a problem's `type` leads to; undefined where there is no such problem. */
export function describeProblem(key: string) {
  if (!Object.hasOwn(PROBLEMS, key)) return undefined
  const [status, title, remedy] = PROBLEMS[key as ProblemKey]
  return { type: `/problems/${key}`, title, status, remedy }
}
