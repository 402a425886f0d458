/** Who may look at the fleet: administrators, by their token or by a session that a token opened. */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto"
import type { IncomingMessage } from "node:http"
import type { Authority } from "./environment.ts"
import { openTokenReader, TokenFault } from "./providers/tokens.ts"

type Refusal = { status: 401 | 403 | 503; message: string }

export type Access = {
  /** undefined: the caller may look. */
  refuse: (request: IncomingMessage) => Promise<Refusal | undefined>
  /** Opens a session for the bearer of the request's token: the value of Set-Cookie. */
  signIn: (request: IncomingMessage) => Promise<{ cookie: string } | Refusal>
  hasSession: (request: IncomingMessage) => boolean
  /** Ends the request's session: the value of Set-Cookie. */
  signOut: (request: IncomingMessage) => string
}

/** Sessions that are open at once; the oldest ends for one that is too many. */
const MAX_SESSIONS = 1000
const LONGEST_SESSION = 8 * 3_600_000

const SIGN_IN: Refusal = { status: 401, message: "sign in with an administrator's token" }
const CLOSED: Refusal = {
  status: 503,
  message: "nobody may look: set OIDC_ISSUER and OIDC_AUDIENCE, or AUTH=off to let everybody",
}

/**
 * The token of whoever has the reconciler's environment, such as the command line beside it: with Neon's key one can
 * change the fleet, so one may look at it too. The key itself cannot be had from it.
 */
export const environmentToken = (apiKey: string): string =>
  createHmac("sha256", apiKey).update("tenantry status").digest("base64url")

/** Cookies are shared by all ports of a host, so the port is in the name. */
const cookieName = ({ socket }: IncomingMessage) => `tenantry-${socket.localPort}`
const sessionOf = (request: IncomingMessage): string | undefined =>
  (request.headers.cookie ?? "")
    .split(/; */)
    .find((pair) => pair.startsWith(`${cookieName(request)}=`))
    ?.slice(cookieName(request).length + 1)
const cookie = (request: IncomingMessage, value: string, seconds: number): string => {
  const isSecure = request.headers["x-forwarded-proto"] === "https"
  return `${cookieName(request)}=${value}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${seconds}${isSecure ? "; Secure" : ""}`
}

/** `authority` undefined: nobody but who has the environment. `now`: milliseconds since 1970. */
export function openAccess(authority: Authority | undefined, apiKey: string, now: () => number): Access {
  const own = Buffer.from(`Bearer ${environmentToken(apiKey)}`)
  const readToken = authority?.kind === "issuer" ? openTokenReader(authority.settings) : undefined
  /** When each ends, by its id. */
  const sessions = new Map<string, number>()

  /** When the token's right to look ends, or why it gives none. */
  async function read(request: IncomingMessage): Promise<number | Refusal> {
    const values = request.headersDistinct["authorization"] ?? []
    const given = Buffer.from(values[0] ?? "")
    if (given.length === own.length && timingSafeEqual(given, own)) return now() + LONGEST_SESSION
    if (!readToken) return CLOSED
    try {
      const { isAdministrator, expiresAt } = await readToken(values)
      if (isAdministrator) return expiresAt
      return { status: 403, message: "the token is not an administrator's" }
    } catch (error) {
      if (!(error instanceof TokenFault)) throw error
      if (error.kind === "unreachable")
        return { status: 503, message: "the issuer of tokens cannot be asked at the moment" }
      return error.kind === "missing"
        ? SIGN_IN
        : { status: 401, message: "the token is not valid, or no longer" }
    }
  }

  function hasSession(request: IncomingMessage): boolean {
    const session = sessionOf(request)
    const end = session === undefined ? undefined : sessions.get(session)
    return end !== undefined && end > now()
  }

  return {
    hasSession,
    async refuse(request) {
      if (authority?.kind === "off") return undefined
      if (hasSession(request)) return undefined
      const found = await read(request)
      return typeof found === "number" ? undefined : found
    },
    async signIn(request) {
      const until = await read(request)
      if (typeof until !== "number") return until
      const id = randomBytes(32).toString("base64url")
      const length = Math.min(until - now(), LONGEST_SESSION)
      sessions.set(id, now() + length)
      for (const [known, end] of sessions)
        if (end <= now() || sessions.size > MAX_SESSIONS) sessions.delete(known)
      return { cookie: cookie(request, id, Math.floor(length / 1000)) }
    },
    signOut(request) {
      const session = sessionOf(request)
      if (session !== undefined) sessions.delete(session)
      return cookie(request, "", 0)
    },
  }
}
