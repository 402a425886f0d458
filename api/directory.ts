/** Tenants by name and by host, as the vault's tags told it last: looked at anew in the background, and when one is not there. */
import type { Logger } from "../reconciler/log.ts"
import { isRetired } from "../reconciler/ledger.ts"
import { nameKey, type TenantId } from "../reconciler/tenant.ts"
import { forLog } from "./failures.ts"
import { labelOf } from "./host.ts"
import { Problem } from "./problems.ts"

/** `hosts`: its own, in lower case. `isSettled`: that the name is its own, whoever else claims it, see ledger.ts. */
export type NamedTenant = {
  id: TenantId
  name: string
  state: string
  schema: string
  isSettled: boolean
  hosts?: readonly string[] | undefined
  /** Where its secret leads, but for the server and the password. */
  where?: { cell: string; database: string; login: string }
}

export type Directory = {
  /**
   * The tenant of this name, however it is capitalised; undefined where the newest list has none. Throws Problem where it
   * is not known and no list can be read.
   */
  find: (name: string) => Promise<NamedTenant | undefined>
  /** The same for a tenant's own host, which is given in lower case. */
  findAt: (host: string) => Promise<NamedTenant | undefined>
  /** The same as far as it is known already: it waits for nothing and throws nothing. */
  knownAt: (host: string) => NamedTenant | undefined
  /** Whom the last list has under this id; it asks for none. */
  knownById: (id: TenantId) => NamedTenant | undefined
  /** Has the list read once, so that who comes first finds it. */
  prepare: () => void
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
  /** Where tenants' hosts follow from their names: no tenant has a host of its own in these domains. */
  domains: readonly string[]
}

const unreadable = () =>
  new Problem("vault-unavailable", "the list of tenants cannot be read at the moment", { retryAfter: 1 })

/** Reads nothing until it is asked, or the interval is over. */
export function createDirectory(
  readTenants: () => Promise<NamedTenant[]>,
  { now, interval, missInterval, patience, domains }: DirectoryOptions,
  log: Logger,
): Directory {
  let tenants: NamedTenant[] | undefined
  let byName = new Map<string, NamedTenant>()
  let byHost = new Map<string, NamedTenant>()
  let byId = new Map<TenantId, NamedTenant>()
  let askedAt = Number.NEGATIVE_INFINITY
  let reading: Promise<void> | undefined
  let isAway = false
  let wanted = false
  const timer = setInterval(() => {
    if (wanted) void refresh(0)
  }, interval).unref()

  async function read(): Promise<void> {
    try {
      tenants = await readTenants()
      byId = new Map(tenants.map((tenant) => [tenant.id, tenant]))
      byName = index(tenants, ({ name }) => [nameKey(name)], "name", log)
      byHost = index(outside(tenants, domains, log), ({ hosts = [] }) => hosts, "host", log)
      isAway = false
    } catch (error) {
      isAway = true
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

  /** What `known` gives, and where that is nothing, what it gives after another look. */
  async function seek(known: () => NamedTenant | undefined): Promise<NamedTenant | undefined> {
    if (!known()) await refresh(missInterval)
    const found = known()
    // Whoever is new is not in a list that is old: that nobody is there would be a guess.
    if (!found && (!tenants || isAway || reading)) throw unreadable()
    return found
  }

  return {
    find: async (name) => {
      const key = nameKey(name)
      return seek(() => byName.get(key))
    },
    findAt: async (host) => seek(() => byHost.get(host)),
    knownAt(host) {
      if (!wanted) void refresh(0)
      return byHost.get(host)
    },
    knownById: (id) => byId.get(id),
    // Whoever then asks for a name that is not there still has the list read at once.
    prepare: () => void (reading ??= read()),
    async list() {
      await refresh(missInterval)
      if (!tenants) throw unreadable()
      return tenants.toSorted((a, b) => (a.name < b.name ? -1 : 1))
    },
    close: () => clearInterval(timer),
  }
}

/**
 * A key leads to the one who is served, or is to be, rather than to one who is retired; and a name to the one whose it surely is.
 * Where two claim it all the same, it leads to nobody.
 */
function index(
  tenants: NamedTenant[],
  keysOf: (tenant: NamedTenant) => readonly string[],
  what: "name" | "host",
  log: Logger,
): Map<string, NamedTenant> {
  const found = new Map<string, NamedTenant>()
  const claims = tenants.flatMap((tenant) => [...new Set(keysOf(tenant))].map((key) => ({ key, tenant })))
  for (const [key, group] of Map.groupBy(claims, (claim) => claim.key)) {
    const claimants = group.map(({ tenant }) => tenant)
    const candidates =
      ranks[what].map((rank) => claimants.filter(rank)).find(({ length }) => length > 0) ??
      claimants.slice(0, 1)
    if (candidates.length === 1) found.set(key, candidates[0]!)
    else
      log.error(
        { alarm: `${what}-claimed-twice`, tenants: candidates.map(({ id }) => id) },
        `a ${what} has two tenants`,
      )
  }
  return found
}

const isKept = (tenant: NamedTenant) => !isRetired(tenant)
/** While a name passes from one to another, both claim it for a moment; a host never leads to two. */
const ranks: Record<"name" | "host", readonly ((tenant: NamedTenant) => boolean)[]> = {
  name: [({ isSettled }) => isSettled, (tenant) => isKept(tenant) && tenant.state !== "reserved", isKept],
  host: [isKept],
}

/** The same tenants without hosts in our own domains: those are other tenants', or may be some day. */
function outside(tenants: NamedTenant[], domains: readonly string[], log: Logger): NamedTenant[] {
  return tenants.map((tenant) => {
    const hosts = tenant.hosts?.filter((host) => labelOf(host, domains) === undefined)
    if (hosts?.length === tenant.hosts?.length) return tenant
    log.warn(
      { alarm: "host-in-own-domain", tenant: tenant.id },
      "a tenant's file names a host in TENANT_HOST_SUFFIXES, which is not served",
    )
    return { ...tenant, hosts }
  })
}
