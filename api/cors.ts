/** Which other sites' pages may call the API from a browser; nobody, unless configured. */
import type { RequestHandler } from "express"

const METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
/** Seconds. */
const MAX_AGE = "600"
const EXPOSED = "ETag, Location, Retry-After, RateLimit, RateLimit-Policy, X-Request-Id, Idempotency-Replayed"

/** Answers preflight requests of these origins, and lets them read what they are answered. */
export const allowOrigins =
  (origins: ReadonlySet<string>, tenantHeader: string): RequestHandler =>
  (request, response, next) => {
    response.vary("Origin")
    const { origin } = request.headers
    if (origin === undefined || !origins.has(origin)) return next()
    response.set("Access-Control-Allow-Origin", origin).set("Access-Control-Expose-Headers", EXPOSED)
    if (request.method !== "OPTIONS" || request.headers["access-control-request-method"] === undefined)
      return next()
    response
      .set("Access-Control-Allow-Methods", METHODS)
      .set(
        "Access-Control-Allow-Headers",
        `Authorization, Content-Type, If-Match, If-None-Match, Idempotency-Key, ${tenantHeader}`,
      )
      .set("Access-Control-Max-Age", MAX_AGE)
      .status(204)
      .end()
  }
