/**
 * Who has which name. A tenant's name is one in the whole fleet, so the name of its database is taken in every cell; a
 * stranger's database takes a name in its own cell only. PURE
 */
import { type Action, type Change, claimedBy, type Stall, vacatedBy } from "./action.ts"
import { fullName, type Place } from "./cells.ts"
import type { Diff } from "./plan.ts"
import { nameKey } from "./tenant.ts"

/** `unseen`: see plan.ts; whatever is in such a place now, the name is its tenant's. */
type Listed = { databases: readonly Place[] } & Pick<Diff, "unmanaged" | "unseen">

/** The databases in the way of each of the change's claims; its own may be among them. */
type Rivals = (change: Change) => readonly Place[]

/** Names of ours that differ only by case are one name. */
export function openNames({ databases, unmanaged, unseen }: Listed): Rivals {
  const theirs = new Map(unmanaged.databases.map((place) => [fullName(place), place]))
  const held = [...databases.filter((place) => !theirs.has(fullName(place))), ...unseen]
  const ours = Map.groupBy(held, ({ name }) => nameKey(name))
  const having = (cell: string, name: string): Place[] => {
    const stranger = theirs.get(fullName({ cell, name }))
    return [...(stranger ? [stranger] : []), ...(ours.get(nameKey(name)) ?? [])]
  }
  /** Where a name is only announced, a tenant may give it up later; what a stranger has would be taken for what was announced. */
  const announced = (cell: string, action: Action): Place[] => {
    const isAnnouncement = action.kind === "reserve" && action.entry.state === "reserved"
    const stranger = isAnnouncement && theirs.get(fullName({ cell, name: action.entry.database }))
    return stranger ? [stranger] : []
  }
  return ({ cell, actions }) =>
    actions.flatMap((action) => [...having(cell, claimedBy(action) ?? ""), ...announced(cell, action)])
}

/** The change that sets each database's name free, by cell/name. */
export const vacatersIn = (changes: readonly Change[]): ReadonlyMap<string, Change> =>
  new Map(
    changes.flatMap((change) =>
      change.actions.flatMap((action) => {
        const name = vacatedBy(action)
        return name === undefined ? [] : [[fullName({ cell: change.cell, name }), change] as const]
      }),
    ),
  )

/** Leaves out the changes that want a name which a database has and which nothing in the plan sets free. */
export function withFreeNames(changes: readonly Change[], listed: Listed): Pick<Diff, "changes" | "stalls"> {
  if (changes.length === 0) return { changes, stalls: [] }
  const rivalsOf = openNames(listed)
  const vacaters = vacatersIn(changes)
  const stalls: Stall[] = []
  const waiting = new Map<Change, { change: Change; rival: Place }[]>()
  const hopeless: { change: Change; rival: Place }[] = []
  for (const change of changes) {
    for (const rival of rivalsOf(change)) {
      const vacater = vacaters.get(fullName(rival))
      if (vacater === change) continue
      if (vacater === undefined) hopeless.push({ change, rival })
      else waiting.set(vacater, [...(waiting.get(vacater) ?? []), { change, rival }])
    }
  }
  const blocked = new Set<Change>()
  // Whoever waits for a change that is blocked is blocked too; the queue grows while it is worked off.
  for (const { change, rival } of hopeless) {
    if (blocked.has(change)) continue
    blocked.add(change)
    const { tenant, name, cell } = change
    const database = rival.cell === cell ? rival.name : fullName(rival)
    stalls.push({ tenant, name, reason: "NameTaken", message: nameTaken(database) })
    hopeless.push(...(waiting.get(change) ?? []))
  }
  const fallbacks = [...blocked].flatMap(({ otherwise }) => otherwise ?? [])
  return { changes: [...changes.filter((change) => !blocked.has(change)), ...fallbacks], stalls }
}

const nameTaken = (database: string) =>
  `database ${database} exists and is not this tenant's: choose another name, or move that database away`
