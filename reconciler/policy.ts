/** What may be done of what would have to be done: a policy is a function from a diff to a plan. */
import type { Change, ChangeKind, Withheld } from "./action.ts"
import { settleContests } from "./hosts.ts"
import type { ApprovalVerb } from "./ledger.ts"
import { withFreeNames } from "./names.ts"
import type { Diff, Observed } from "./plan.ts"

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

export type Plan = Omit<Diff, "contests" | "homes" | "unseen"> & { withheld: readonly Withheld[] }

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
  const { contests, homes: _, unseen, ...rest } = diff
  const listed = { databases: circumstances.databases, unmanaged: rest.unmanaged, unseen }
  const { changes, stalls } = withFreeNames([...allowed, ...instead], listed)
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
