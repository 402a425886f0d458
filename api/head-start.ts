/**
 * Sessions that begin while their tenant's secret is still being read. The vault's tags say as whom and in which database,
 * and the server is the one where another tenant of the cell was found; only the password is missing. It is sent only where
 * the secret names that very place, and otherwise the session ends unused.
 */
import { Client } from "pg"
import { TransientError } from "../reconciler/errors.ts"
import type { CredentialReader } from "../reconciler/providers/vault.ts"
import type { TenantId } from "../reconciler/tenant.ts"
import type { NamedTenant } from "./directory.ts"
import type { Places } from "./places.ts"
import { beginSession, endSession, type Session, socketOf } from "./sessions.ts"

export type HeadStarts = {
  /** The same reader, beside which sessions begin. */
  beside: (readVault: CredentialReader) => CredentialReader
  /** Says where the tenant was found. */
  learn: (tenant: TenantId, uri: string) => void
}

export type HeadStartOptions = {
  /** What the last list of tenants said, without asking for another one. */
  knownById: (tenant: TenantId) => NamedTenant | undefined
  reserve: Places["reserve"]
  /** How long connecting may take, how long of that a session waits for its secret, and a statement; in milliseconds. */
  connectTimeout: number
  life: number
  statementTimeout: number
}

/** A session that waits for its password. */
type HeadStart = {
  /** The connection string that it was begun by. */
  expected: string
  isEnding: () => boolean
  give: (password: string) => Session
  /** Resolves when the server has surely given it up. */
  end: () => Promise<void>
}

/** No session has begun. */
export function createHeadStarts(options: HeadStartOptions): HeadStarts {
  const { knownById, reserve } = options
  /** By cell: where one of its tenants was last found. */
  const samples = new Map<string, string>()
  /** What was expected of a tenant and was wrong. */
  const mistakes = new Map<TenantId, string>()
  const begun = new Map<TenantId, HeadStart>()

  /** Where the tenant's secret will lead, as far as can be told without it. */
  function expect(tenant: TenantId): string | undefined {
    const { state, where } = knownById(tenant) ?? {}
    const sample = state === "active" && where && samples.get(where.cell)
    if (!sample) return undefined
    const uri = new URL(sample)
    uri.username = where.login
    uri.pathname = `/${encodeURIComponent(where.database)}`
    return uri.href === mistakes.get(tenant) ? undefined : uri.href
  }

  function begin(tenant: TenantId): void {
    const expected = begun.has(tenant) ? undefined : expect(tenant)
    if (expected === undefined) return
    const giveBack = reserve(tenant, expected, {
      give: (uri) => give(tenant, uri),
      end: () => end(tenant),
    })
    if (!giveBack) return
    try {
      const session = hold(expected, options, () => {
        if (begun.get(tenant) === session) begun.delete(tenant)
        giveBack()
      })
      begun.set(tenant, session)
    } catch {
      // Who asks for the tenant meets the same, and says so.
      giveBack()
    }
  }

  function give(tenant: TenantId, uri: string): Session | undefined {
    const session = begun.get(tenant)
    if (!session) return undefined
    if (session.expected !== withoutPassword(uri)) {
      mistakes.set(tenant, session.expected)
      return undefined
    }
    if (session.isEnding()) return undefined
    // As pg itself reads it.
    const { password } = new Client({ connectionString: uri })
    begun.delete(tenant)
    return session.give(password ?? "")
  }

  const end = async (tenant: TenantId): Promise<void> => begun.get(tenant)?.end()

  return {
    beside: (readVault) => async (tenant) => {
      begin(tenant)
      try {
        const credential = await readVault(tenant)
        if (credential?.state !== "active") void end(tenant)
        return credential
      } catch (error) {
        // What was read before may be good enough, and then the session is, too.
        if (!(error instanceof TransientError)) void end(tenant)
        throw error
      }
    },

    learn(tenant, uri) {
      const cell = knownById(tenant)?.where?.cell
      const place = withoutPassword(uri)
      if (cell !== undefined && place !== undefined) samples.set(cell, place)
      if (mistakes.get(tenant) === place) mistakes.delete(tenant)
    },
  }
}

/** Begins a session, and ends it where it fails or waits too long; `onGone` is called when the server has given it up. */
function hold(
  expected: string,
  times: Omit<HeadStartOptions, "knownById" | "reserve">,
  onGone: () => void,
): HeadStart {
  const { connectTimeout, life, statementTimeout } = times
  const password = Promise.withResolvers<string>()
  const session = beginSession(expected, connectTimeout, () => password.promise)
  const { client, connected, ended } = session
  let isGiven = false
  let ending: Promise<void> | undefined
  client.on("error", () => {}) // `connected` reports it
  const timer = setTimeout(endUnused, life).unref()
  connected.catch(endUnused)
  void ended.then(endUnused)

  // A server that waits for a password understands a socket that is closed, and complains of a farewell.
  function leave(): void {
    const socket = socketOf(client)
    if (socket.connecting) socket.destroy()
    else socket.end()
  }

  async function endOnce(): Promise<void> {
    clearTimeout(timer)
    await endSession(session, leave, statementTimeout)
    onGone()
  }
  const end = () => (ending ??= endOnce())

  function endUnused(): void {
    if (!isGiven) void end()
  }

  return {
    expected,
    isEnding: () => ending !== undefined,
    give(secret) {
      isGiven = true
      clearTimeout(timer)
      password.resolve(secret)
      return session
    },
    end,
  }
}

/** The connection string but for its password; undefined where it is none. */
function withoutPassword(uri: string): string | undefined {
  if (!URL.canParse(uri)) return undefined
  const place = new URL(uri)
  place.password = ""
  return place.href
}
