/** What may be done of what would have to be done: a policy is a function from a diff to a plan. */
import { type Change, type ChangeKind, claimedBy, type Stall, vacatedBy, type Withheld } from "./action.ts"
import { settleContests } from "./hosts.ts"
import type { ApprovalVerb } from "./ledger.ts"
import type { Diff, Observed } from "./plan.ts"
import { nameKey } from "./tenant.ts"

export type Policy = {
  /** Whether a tenant whose file is gone may be retired at all. */
  deletion: "retire" | "forbid"
  /** Removals in one pass: at most this many … */
  maxRemovals: number
  /** … and at most this share of the fleet, 0 to 1; the stricter of the two holds. */
  maxRemovalShare: number
}

/** What the world looked like when the plan was made, as far as a policy cares. */
export type Circumstances = {
  /** Files in tenants/ that could not be read: any of them may be the file that seems to be gone. */
  unreadable: number
  desired: number
  /** Tenants that are declared, or in the ledger and not retired; whichever is more. */
  fleet: number
  databases: Observed["databases"]
}

export type Plan = Omit<Diff, "contests" | "homes"> & { withheld: readonly Withheld[] }

type Removal = Change & { kind: ApprovalVerb & ChangeKind }
const isRemoval = (change: Change): change is Removal => change.kind === "retire" || change.kind === "purge"

/** The plan that the policy allows. What it does not allow is in `withheld`, with the reason. */
export function restrain(diff: Diff, policy: Policy, circumstances: Circumstances): Plan {
  const removals = diff.changes.filter(isRemoval)
  const counted = removals.filter(({ isApproved, isProtected }) => !isApproved && !isProtected).length
  const withheld = removals.flatMap((change) => {
    const objection = objectionTo(change, counted, policy, circumstances)
    return objection ? [{ change, ...objection }] : []
  })
  const objectionable = new Set<Change>(withheld.map(({ change }) => change))
  const allowed = diff.changes.filter((change) => !objectionable.has(change))
  const instead = withheld.flatMap(({ change }) => change.otherwise ?? [])
  const { changes, stalls } = withFreeNames([...allowed, ...instead], circumstances.databases)
  const { contests, homes: _, ...rest } = diff
  const hosts = settleContests(contests, changes)
  return {
    ...rest,
    changes,
    withheld: [...withheld, ...hosts.waiting],
    // Of two reasons that one tenant has, the last is shown: whoever lacks a host is served, but for that host.
    stalls: [...hosts.stalls, ...diff.stalls, ...stalls],
  }
}

type Objection = Omit<Withheld, "change">

/** Why this tenant may not be removed in this pass; undefined where nothing speaks against it. */
function objectionTo(
  { kind, isApproved, isProtected }: Removal,
  removals: number,
  policy: Policy,
  { unreadable, desired, fleet }: Circumstances,
): Objection | undefined {
  if (unreadable > 0) {
    const message = `the tenants folder has faulty files, and any of them may be this tenant's: mend them first (faults: ${unreadable})`
    return { reason: "UnreadableFiles", message }
  }
  if (policy.deletion === "forbid") {
    return {
      reason: "DeletionForbidden",
      message: "fleet.yaml says deletion: forbid; bring the file back, or change that",
    }
  }
  if (isApproved) return undefined
  if (isProtected)
    return { reason: "Protected", message: "the ledger says that this tenant is protected", approve: kind }
  if (desired === 0) {
    return {
      reason: "NothingDesired",
      message: "no tenant at all is declared: is it the right folder?",
      approve: kind,
    }
  }
  const cap = Math.min(policy.maxRemovals, Math.floor(policy.maxRemovalShare * fleet))
  if (removals <= cap) return undefined
  const share = Math.round(policy.maxRemovalShare * 100)
  const message = `${removals} removals are more than the ${cap} that fleet.yaml allows in one pass (${policy.maxRemovals}, and ${share} % of ${fleet})`
  return { reason: "TooManyRemovals", message, approve: kind }
}

/** Leaves out the changes that want a name which a database of their cell has and which nothing in the plan sets free. */
function withFreeNames(
  changes: readonly Change[],
  databases: Observed["databases"],
): Pick<Diff, "changes" | "stalls"> {
  const inCells = [...Map.groupBy(changes, ({ cell }) => cell)].map(([cell, those]) =>
    withFreeNamesIn(
      those,
      databases.filter((database) => database.cell === cell),
    ),
  )
  return {
    changes: inCells.flatMap((part) => part.changes),
    stalls: inCells.flatMap((part) => part.stalls),
  }
}

/** The same in one cell. Names of ours that differ only by case are one name. */
function withFreeNamesIn(
  changes: readonly Change[],
  databases: Observed["databases"],
): Pick<Diff, "changes" | "stalls"> {
  const taken = new Map<string, string>()
  for (const { name, marker } of databases) {
    taken.set(name, name)
    if (marker) taken.set(nameKey(name), name)
  }
  const vacaters = new Map(
    changes.flatMap((change) =>
      change.actions.flatMap((action) => {
        const name = vacatedBy(action)
        return name === undefined ? [] : [[name, change] as const]
      }),
    ),
  )
  /** The databases in the way of what the change claims. */
  const rivalsOf = ({ actions }: Change) =>
    actions.flatMap((action) => {
      const claimed = claimedBy(action)
      return claimed === undefined ? [] : (taken.get(claimed) ?? taken.get(nameKey(claimed)) ?? [])
    })
  const stalls: Stall[] = []
  const waiting = new Map<Change, { change: Change; rival: string }[]>()
  const hopeless: { change: Change; rival: string }[] = []
  for (const change of changes) {
    for (const rival of rivalsOf(change)) {
      const vacater = vacaters.get(rival)
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
    const { tenant, name } = change
    stalls.push({ tenant, name, reason: "NameTaken", message: nameTaken(rival) })
    hopeless.push(...(waiting.get(change) ?? []))
  }
  const fallbacks = [...blocked].flatMap(({ otherwise }) => otherwise ?? [])
  return { changes: [...changes.filter((change) => !blocked.has(change)), ...fallbacks], stalls }
}

const nameTaken = (database: string) =>
  `database ${database} exists and is not this tenant's: choose another name, or move that database away`
