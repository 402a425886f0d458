/**
 * Who has which host, and who may have it. A host leads to one tenant: in one pass the ledger takes it from whoever
 * gives it up, and not before the next pass it is another's. So no two entries ever name it. PURE
 */
import type { Change, Stall, Withheld } from "./action.ts"
import { isRetired, type LedgerEntry } from "./ledger.ts"
import type { Tenant } from "./tenant.ts"

/** The hosts that lead to the entry's tenant: none to one who is retired, so that another may have them. */
export const hostsOf = (entry: LedgerEntry): readonly string[] =>
  isRetired(entry) ? [] : (entry.hosts ?? [])

/** The entries that have a host, by the host. */
export type Holders = ReadonlyMap<string, readonly LedgerEntry[]>

export function holdersOf(entries: readonly LedgerEntry[]): Holders {
  const holders = new Map<string, LedgerEntry[]>()
  for (const entry of entries) {
    for (const host of hostsOf(entry)) {
      const having = holders.get(host)
      if (!having) holders.set(host, [entry])
      else if (!having.includes(entry)) having.push(entry)
    }
  }
  return holders
}

/** A host that a file declares and `holder` has. `change` is what brings it to the file's tenant once it is free. */
export type Contest = { host: string; holder: LedgerEntry; change: Change }

/** Of the hosts that the tenant declares: what it has or may have now, in order, and who has the others, or these too. */
export function grantHosts(
  { id, hosts = [] }: Pick<Tenant, "id" | "hosts">,
  entry: LedgerEntry | undefined,
  holders: Holders,
): { granted: string[]; contested: Pick<Contest, "host" | "holder">[] } {
  const own = entry ? hostsOf(entry) : []
  const rivals = (host: string) => (holders.get(host) ?? []).filter((holder) => holder.id !== id)
  const sorted = hosts.toSorted()
  return {
    granted: sorted.filter((host) => own.includes(host) || rivals(host).length === 0),
    contested: sorted.flatMap((host) => rivals(host).map((holder) => ({ host, holder }))),
  }
}

/** Who waits for a host: its turn, where one of `changes` sets the host free, or else a person. */
export function settleContests(
  contests: readonly Contest[],
  changes: readonly Change[],
): { waiting: Withheld[]; stalls: Stall[] } {
  if (contests.length === 0) return { waiting: [], stalls: [] }
  const planned = new Map(changes.map((change) => [change.tenant, change]))
  const isGivenUp = ({ host, holder }: Contest) => gives(planned.get(holder.id), host)
  const waiting: Withheld[] = []
  const stalls: Stall[] = []
  for (const [change, all] of Map.groupBy(contests, (contest) => contest.change)) {
    const kept = all.filter((contest) => !isGivenUp(contest))
    const { tenant, name } = change
    if (kept.length > 0) stalls.push({ tenant, name, reason: "HostTaken", message: hostTaken(kept) })
    else waiting.push({ change, reason: "HostNotFree", message: hostNotFree(all), isStalled: false })
  }
  return { waiting, stalls }
}

/** Whether the change takes the host from its tenant. */
const gives = (change: Change | undefined, host: string): boolean =>
  change?.actions.some((action) => "entry" in action && !hostsOf(action.entry).includes(host)) ?? false

const more = ({ length }: readonly Contest[]) => (length > 1 ? `, and ${length - 1} more hosts` : "")

const hostTaken = (kept: readonly Contest[]) => {
  const { host, holder } = kept[0]!
  return `the host ${host} still leads to ${holder.name} (${holder.id})${more(kept)}: take it out of this file, or see in "tenantry status" why that tenant keeps it`
}

const hostNotFree = (all: readonly Contest[]) =>
  `waits for the host ${all[0]!.host}, which ${all[0]!.holder.name} gives up first${more(all)}`
