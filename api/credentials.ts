/** The tenants' credentials, as the vault last told them: few calls to the vault, and served on when it is away. */
import { LRUCache } from "lru-cache"
import { TransientError } from "../reconciler/errors.ts"
import { createSemaphore } from "../reconciler/providers/pacing.ts"
import type { Credential, CredentialReader } from "../reconciler/providers/vault.ts"
import type { TenantId } from "../reconciler/tenant.ts"
import { countCredentialRead } from "./metrics.ts"

export type CredentialCache = {
  /**
   * The tenant's credential; undefined where the vault has none. With `maxAge` (milliseconds) an answer that is older
   * is read again. Throws TransientError where the vault is out of reach and nothing usable is held, and
   * TerminalError where the vault refuses.
   */
  read: (tenant: TenantId, maxAge?: number) => Promise<Credential | undefined>
  /** How many answers are held. */
  size: () => number
}

export type CredentialCacheOptions = {
  /** Milliseconds; only differences matter. */
  now: () => number
  /** Most credentials held; as many answers that lead to no database are held apart, so that these evict nobody. */
  capacity: number
  /** Most calls to the vault at once; ten times as many tenants may wait for theirs. */
  maxReads: number
  /** All in milliseconds. A credential is read again when unused for `sliding`, and at the latest after `absolute`. */
  sliding: number
  absolute: number
  /** Up to this share of both is left off, by chance, so that what was read at one time is not read again at one time. */
  jitter: number
  /** What leads to no database: "reserved" is said of a tenant that is being made, "refused" is all else. */
  refused: Belief
  reserved: Belief
  /** How long a request waits for the vault where nothing is held, or what is held leads nowhere. */
  patience: number
  /** How long it waits where what is held is only out of date; then that is served, and the vault is asked on. */
  stalePatience: number
  /** How long an out-of-date credential is served, after the vault failed, before the vault is asked again. */
  holdOff: number
}

/**
 * How long such an answer is believed at most, in milliseconds; and one of any tenant may be read again this often, so
 * that who was just made or restored is served soon, and a caller who asks for what is not there still costs the vault
 * next to nothing.
 */
type Belief = { atMost: number; recheck: number }

type Entry = {
  credential: Credential | undefined
  readAt: number
  /** Since when the vault has said so. */
  since: number
  usedAt: number
  failedAt: number
  /** Of the usual times, what is left by chance. */
  share: number
}

/** The share of the time that a tenant has been reserved after which it is looked up again. */
const PATIENCE = 1 / 20
/** Tenants whose secrets are read or wait for that, as a multiple of those that are read at once. */
const MOST_WAITING = 11

/** A cache before `readVault`. Reads of one tenant at the same time are one call. */
export function cacheCredentials(
  readVault: CredentialReader,
  options: CredentialCacheOptions,
): CredentialCache {
  const { now } = options
  const serving = new LRUCache<TenantId, Entry>({ max: options.capacity })
  const refusing = new LRUCache<TenantId, Entry>({ max: options.capacity })
  const reading = new Map<TenantId, Promise<Entry>>()
  const inTurn = createSemaphore(options.maxReads, "secrets")
  const mayRecheck = {
    refused: every(options.refused.recheck, now),
    reserved: every(options.reserved.recheck, now),
  }

  const isFresh = (entry: Entry, maxAge: number): boolean => {
    const age = now() - entry.readAt
    if (age > maxAge) return false
    if (entry.credential?.state === "active")
      return age < entry.share * options.absolute && now() - entry.usedAt < entry.share * options.sliding
    const kind = entry.credential?.state === "reserved" ? "reserved" : "refused"
    const { atMost, recheck } = options[kind]
    // Who is being made for long may be so for hours.
    const pace = kind === "reserved" ? Math.max(recheck, (now() - entry.since) * PATIENCE) : recheck
    return age < atMost && (age < pace || !mayRecheck[kind]())
  }

  async function readOnce(tenant: TenantId): Promise<Entry> {
    const credential = await readVault(tenant)
    const at = now()
    const before = refusing.get(tenant)
    const since = before && before.credential?.state === credential?.state ? before.since : at
    const share = 1 - options.jitter * Math.random()
    const entry = { credential, readAt: at, since, usedAt: at, failedAt: Number.NEGATIVE_INFINITY, share }
    const isActive = credential?.state === "active"
    ;(isActive ? refusing : serving).delete(tenant)
    ;(isActive ? serving : refusing).set(tenant, entry)
    return entry
  }

  function readShared(tenant: TenantId): Promise<Entry> {
    const running = reading.get(tenant)
    if (running) return running
    if (reading.size >= MOST_WAITING * options.maxReads) {
      throw new TransientError("VaultBusy", `${reading.size} secrets are to be read already`)
    }
    const started = inTurn(() => readOnce(tenant)).finally(() => reading.delete(tenant))
    reading.set(tenant, started)
    return started
  }

  return {
    async read(tenant, maxAge = Number.POSITIVE_INFINITY) {
      const held = serving.get(tenant) ?? refusing.get(tenant)
      if (held && isFresh(held, maxAge)) {
        held.usedAt = now()
        countCredentialRead("hit")
        return held.credential
      }
      const isStale = held?.credential?.state === "active"
      if (isStale && now() - held.failedAt < options.holdOff) {
        countCredentialRead("stale")
        return held.credential
      }
      countCredentialRead("miss")
      const patience =
        isStale && maxAge === Number.POSITIVE_INFINITY ? options.stalePatience : options.patience
      try {
        return (await within(patience, readShared(tenant))).credential
      } catch (error) {
        if (!isStale || !(error instanceof TransientError)) throw error
        held.failedAt = now()
        return held.credential
      }
    },
    size: () => serving.size + refusing.size,
  }
}

/** Whether the last time that this was true is `interval` milliseconds ago. */
function every(interval: number, now: () => number): () => boolean {
  let last = Number.NEGATIVE_INFINITY
  return () => {
    if (now() - last < interval) return false
    last = now()
    return true
  }
}

/** The promise's outcome, or TransientError after `limit` milliseconds; the call itself goes on for the next one. */
async function within<T>(limit: number, promise: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => late.reject(new TransientError("VaultSlow", `the vault did not answer within ${limit} ms`)),
    limit,
  )
  try {
    return await Promise.race([promise, late.promise])
  } finally {
    clearTimeout(timer)
  }
}
