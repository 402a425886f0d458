/** Tenants by name, as the vault's tags told it last: looked at anew in the background, and when a name is not there. */
import type { Logger } from "../reconciler/log.ts"
import { nameKey, type TenantId } from "../reconciler/tenant.ts"
import { forLog } from "./failures.ts"
import { Problem } from "./problems.ts"

export type NamedTenant = { id: TenantId; name: string; state: string; schema: string }

export type Directory = {
  /** The tenant of this name, however it is capitalised. Throws Problem while no list could be read at all. */
  find: (name: string) => Promise<NamedTenant | undefined>
  /** All tenants, in the order of their names, as fresh as the rate allows. */
  list: () => Promise<NamedTenant[]>
  close: () => void
}

/** All in milliseconds. */
export type DirectoryOptions = {
  now: () => number
  /** How often the list is read in the background. */
  interval: number
  /** A name that is not there has the list read again at most this often, whatever is asked for. */
  missInterval: number
  /** How long a request waits for the list. */
  patience: number
}

const UNSERVED = new Set(["retired", "purging"])

/** Reads nothing until it is asked, or the interval is over. */
export function createDirectory(
  readTenants: () => Promise<NamedTenant[]>,
  { now, interval, missInterval, patience }: DirectoryOptions,
  log: Logger,
): Directory {
  let tenants: NamedTenant[] | undefined
  let byName = new Map<string, NamedTenant>()
  let askedAt = Number.NEGATIVE_INFINITY
  let reading: Promise<void> | undefined
  let wanted = false
  const timer = setInterval(() => {
    if (wanted) void refresh(0)
  }, interval).unref()

  async function read(): Promise<void> {
    try {
      tenants = await readTenants()
      byName = index(tenants, log)
    } catch (error) {
      log.warn({ error: forLog(error) }, "the list of tenants could not be read")
    } finally {
      reading = undefined
    }
  }

  /** Waits for a list that is younger than `age`, or for as long as patience lasts. */
  async function refresh(age: number): Promise<void> {
    wanted = true
    if (!reading) {
      if (now() - askedAt < age) return
      askedAt = now()
      reading = read()
    }
    const late = Promise.withResolvers<void>()
    const limit = setTimeout(late.resolve, patience)
    await Promise.race([reading, late.promise])
    clearTimeout(limit)
  }

  const assertKnown = (): NamedTenant[] => {
    if (tenants) return tenants
    throw new Problem("vault-unavailable", "the list of tenants cannot be read at the moment", {
      retryAfter: 1,
    })
  }

  return {
    async find(name) {
      const key = nameKey(name)
      if (!byName.has(key)) await refresh(missInterval)
      assertKnown()
      return byName.get(key)
    },
    async list() {
      await refresh(missInterval)
      return assertKnown().toSorted((a, b) => (a.name < b.name ? -1 : 1))
    },
    close: () => clearInterval(timer),
  }
}

/** A name leads to the one who is not retired. Where two claim it, it leads to nobody. */
function index(tenants: NamedTenant[], log: Logger): Map<string, NamedTenant> {
  const found = new Map<string, NamedTenant>()
  for (const [key, claimants] of Map.groupBy(tenants, ({ name }) => nameKey(name))) {
    const served = claimants.filter(({ state }) => !UNSERVED.has(state))
    const candidates = served.length > 0 ? served : claimants.slice(0, 1)
    if (candidates.length === 1) found.set(key, candidates[0]!)
    else
      log.error(
        { alarm: "name-claimed-twice", tenants: candidates.map(({ id }) => id) },
        "a name has two tenants",
      )
  }
  return found
}
