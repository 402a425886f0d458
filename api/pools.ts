/** A pool per tenant, for a bounded number of tenants at a time; idle ones make room, one in use never. */
import { setTimeout as sleep } from "node:timers/promises"
import type pg from "pg"
import type { Logger } from "../reconciler/log.ts"
import type { TenantId } from "../reconciler/tenant.ts"
import { type ActiveCredential, type ConnectionSettings, openPool } from "./connections.ts"
import { createGate, type Gate } from "./gate.ts"

export type PoolSettings = ConnectionSettings & {
  /** Most pools open at once. */
  maxPools: number
  /** Most requests that wait for a connection, per tenant, and for a pool, over all. */
  maxWaiting: number
  /** How long one waits for either, in milliseconds. */
  wait: number
}

export type Pools = {
  /** Runs `use` with a connection to the tenant's database, or throws GateFull, or what connecting threw. */
  withConnection: <T>(
    tenant: TenantId,
    credential: ActiveCredential,
    use: (connect: () => Promise<pg.PoolClient>) => Promise<T>,
  ) => Promise<T>
  /** Open pools, those that are just closing included. */
  open: () => number
  /** Closes every pool as soon as nobody uses it. */
  close: () => Promise<void>
}

type Entry = {
  uri: string
  pool: pg.Pool
  gate: Gate
  users: number
  retired: boolean
  closed: Promise<void>
  close: () => void
}

/** How long a server that does not answer may keep a closing pool's place, in milliseconds. */
const CLOSE_LIMIT = 5000

/** No connection is made before one is asked for. */
export function createPools(settings: PoolSettings, log: Logger): Pools {
  const current = new Map<TenantId, Entry>()
  const opening = new Map<TenantId, Promise<Entry>>()
  const all = new Set<Entry>()
  const slots = createGate({ permits: settings.maxPools, maxWaiting: settings.maxWaiting })

  function retire(tenant: TenantId, entry: Entry): void {
    entry.retired = true
    if (current.get(tenant) === entry) current.delete(tenant)
    if (entry.users === 0) entry.close()
  }

  /** Closes the pool that was not used for longest, if one is idle. The map is in the order of last use. */
  function makeRoom(): void {
    for (const [tenant, entry] of current) {
      if (entry.users > 0) continue
      retire(tenant, entry)
      return
    }
  }

  async function open(tenant: TenantId, credential: ActiveCredential): Promise<Entry> {
    if (slots.free() === 0) makeRoom()
    const giveBack = await slots.enter(settings.wait)
    const pool = openPool(tenant, credential, settings, log)
    const closed = Promise.withResolvers<void>()
    let isClosing = false
    const entry: Entry = {
      uri: credential.uri,
      pool,
      gate: createGate({ permits: settings.maxConnections, maxWaiting: settings.maxWaiting }),
      users: 0,
      retired: false,
      closed: closed.promise,
      close() {
        if (isClosing) return
        isClosing = true
        void Promise.race([pool.end(), sleep(CLOSE_LIMIT, undefined, { ref: false })]).finally(() => {
          all.delete(entry)
          giveBack()
          closed.resolve()
        })
      },
    }
    all.add(entry)
    current.set(tenant, entry)
    return entry
  }

  async function enter(tenant: TenantId, credential: ActiveCredential): Promise<Entry> {
    for (;;) {
      const entry = current.get(tenant)
      if (entry?.uri === credential.uri) {
        entry.users++
        current.delete(tenant)
        current.set(tenant, entry)
        return entry
      }
      if (entry) retire(tenant, entry)
      const started = opening.get(tenant) ?? open(tenant, credential).finally(() => opening.delete(tenant))
      opening.set(tenant, started)
      await started
    }
  }

  function leave(tenant: TenantId, entry: Entry): void {
    entry.users--
    if (entry.users > 0) return
    if (entry.retired || slots.waiting() > 0) retire(tenant, entry)
  }

  return {
    async withConnection(tenant, credential, use) {
      const entry = await enter(tenant, credential)
      try {
        const pass = await entry.gate.enter(settings.wait)
        try {
          return await use(() => entry.pool.connect())
        } finally {
          pass()
        }
      } finally {
        leave(tenant, entry)
      }
    },
    open: () => all.size,
    async close() {
      for (const [tenant, entry] of current) retire(tenant, entry)
      await Promise.all([...all].map((entry) => entry.closed))
    },
  }
}
