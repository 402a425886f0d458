/**
 * Sessions that begin while their tenant's secret is still being read. The vault's tags say as whom and in which database,
 * and the server is the one that other tenants of the cell have; only the password is missing. It is sent only where the
 * secret names that very place, and otherwise the session ends unused.
 */
import { Client } from "pg"
import type { CredentialReader } from "../reconciler/providers/vault.ts"
import type { TenantId } from "../reconciler/tenant.ts"
import { beginSession, type Begun, socketOf } from "./connections.ts"
import type { NamedTenant } from "./directory.ts"

export type HeadStarts = {
  /** The same reader, beside which sessions begin. */
  beside: (readVault: CredentialReader) => CredentialReader
  /**
   * The session that was begun for `tenant`, where it leads to what `uri` names; it is given the password. The caller has
   * a place of its own for it, and ends it.
   */
  take: (tenant: TenantId, uri: string) => Begun | undefined
}

export type HeadStartOptions = {
  /** What the last list of tenants said, without asking for another one. */
  knownById: (tenant: TenantId) => NamedTenant | undefined
  /** A place for one session more, until it is given back; undefined where there is none to spare. */
  reserve: (tenant: TenantId) => (() => void) | undefined
  /** How long connecting may take, and how long of that a session waits for its password; in milliseconds. */
  connectTimeout: number
  life: number
}

/** How long a session may take to end in order, in milliseconds. */
const FAREWELL = 2000

/** A session that waits for its password. */
type HeadStart = {
  /** The connection string that it was begun by. */
  expected: string
  take: (password: string) => Begun
  end: () => void
}

/** No session has begun. */
export function createHeadStarts(options: HeadStartOptions): HeadStarts {
  const { knownById, reserve } = options
  /** By cell: where one of its tenants was last found. */
  const samples = new Map<string, string>()
  const begun = new Map<TenantId, HeadStart>()

  /** Where the tenant's secret will lead, as far as can be told without it. */
  function expect(tenant: TenantId): string | undefined {
    const { state, where } = knownById(tenant) ?? {}
    const sample = state === "active" && where && samples.get(where.cell)
    if (!sample) return undefined
    const uri = new URL(sample)
    uri.username = where.login
    uri.pathname = `/${encodeURIComponent(where.database)}`
    return uri.href
  }

  function learn(tenant: TenantId, uri: string): void {
    const cell = knownById(tenant)?.where?.cell
    const place = withoutPassword(uri)
    if (cell !== undefined && place !== undefined) samples.set(cell, place)
  }

  function begin(tenant: TenantId): void {
    const expected = begun.has(tenant) ? undefined : expect(tenant)
    const giveBack = expected === undefined ? undefined : reserve(tenant)
    if (expected === undefined || !giveBack) return
    const session = hold(expected, options, giveBack, () => {
      if (begun.get(tenant) === session) end(tenant)
    })
    begun.set(tenant, session)
  }

  function end(tenant: TenantId): void {
    begun.get(tenant)?.end()
    begun.delete(tenant)
  }

  return {
    beside: (readVault) => async (tenant) => {
      begin(tenant)
      try {
        const credential = await readVault(tenant)
        if (credential?.state === "active") learn(tenant, credential.uri)
        else end(tenant)
        return credential
      } catch (error) {
        end(tenant)
        throw error
      }
    },

    take(tenant, uri) {
      const session = begun.get(tenant)
      if (!session) return undefined
      if (session.expected !== withoutPassword(uri)) {
        end(tenant)
        return undefined
      }
      // As pg itself reads it.
      const { password = "" } = new Client({ connectionString: uri })
      begun.delete(tenant)
      return session.take(password)
    },
  }
}

/** Begins a session. `giveBack` is called when its place is free, `onLost` when it has failed or waited too long. */
function hold(
  expected: string,
  { connectTimeout, life }: HeadStartOptions,
  giveBack: () => void,
  onLost: () => void,
): HeadStart {
  const password = Promise.withResolvers<string>()
  const session = beginSession(expected, connectTimeout, () => password.promise)
  const { client, connected } = session
  client.on("error", () => {}) // `connected` reports it
  client.once("end", giveBack)
  connected.catch(onLost)
  const timer = setTimeout(onLost, life).unref()
  return {
    expected,
    take(secret) {
      clearTimeout(timer)
      giveBack()
      password.resolve(secret)
      return session
    },
    end() {
      clearTimeout(timer)
      const late = setTimeout(() => socketOf(client).destroy(), FAREWELL).unref()
      void client.end().finally(() => clearTimeout(late))
    },
  }
}

/** The connection string but for its password; undefined where it is none. */
function withoutPassword(uri: string): string | undefined {
  if (!URL.canParse(uri)) return undefined
  const place = new URL(uri)
  place.password = ""
  return place.href
}
