/** What may be done of what would have to be done: a policy is a function from a diff to a plan. */
import { type Change, claimedBy, type Diff, type Observed, type Stall, vacatedBy } from "./plan.ts"
import type { TenantId } from "./tenant.ts"

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
  /** Tenants in the ledger that are not retired. */
  fleet: number
  databases: Observed["databases"]
}

/** A change that waits for a person. */
export type Withheld = { change: Change; reason: string; message: string }

export type Plan = { changes: readonly Change[]; withheld: readonly Withheld[]; stalls: readonly Stall[] }

const isRemoval = ({ kind }: Change) => kind === "retire" || kind === "purge"

/** The plan that the policy allows. What it does not allow is in `withheld`, with the reason. */
export function restrain(diff: Diff, policy: Policy, circumstances: Circumstances): Plan {
  const removals = diff.changes.filter(isRemoval)
  const objection = removals.length > 0 ? objectionTo(removals.length, policy, circumstances) : undefined
  const withheld = objection ? removals.map((change) => ({ change, ...objection })) : []
  const allowed = objection ? diff.changes.filter((change) => !isRemoval(change)) : diff.changes
  const { changes, stalls } = withFreeNames(allowed, circumstances.databases)
  return { changes, withheld, stalls: [...diff.stalls, ...stalls] }
}

type Objection = { reason: string; message: string }

/** Why no tenant may be removed in this pass; undefined where nothing speaks against it. */
function objectionTo(removals: number, policy: Policy, circumstances: Circumstances): Objection | undefined {
  const { unreadable, desired, fleet } = circumstances
  if (unreadable > 0) {
    const message = `${unreadable} file(s) in the tenants folder cannot be read, and any of them may be this tenant's: mend them first`
    return { reason: "UnreadableFiles", message }
  }
  if (desired === 0) {
    return {
      reason: "NothingDesired",
      message: "the tenants folder declares no tenant at all: is it the right folder?",
    }
  }
  if (policy.deletion === "forbid") {
    return {
      reason: "DeletionForbidden",
      message: "fleet.yaml says deletion: forbid; bring the file back, or change that",
    }
  }
  const cap = Math.min(policy.maxRemovals, Math.floor(policy.maxRemovalShare * fleet))
  if (removals > cap) {
    const message = `${removals} removals are more than the ${cap} that fleet.yaml allows in one pass (${policy.maxRemovals}, and ${policy.maxRemovalShare * 100} % of ${fleet})`
    return { reason: "TooManyRemovals", message }
  }
  return undefined
}

/** Leaves out the changes that want a name which a database has and which nothing in the plan sets free. */
function withFreeNames(changes: readonly Change[], databases: Observed["databases"]): Diff {
  const taken = new Set(databases.map(({ name }) => name))
  const stalls: Stall[] = []
  let rest = changes
  for (;;) {
    const vacated = new Set(rest.flatMap(({ actions }) => actions.map(vacatedBy)))
    const blocked = new Map<TenantId, Stall>()
    for (const { tenant, name, actions } of rest) {
      const database = actions
        .map(claimedBy)
        .find((claimed) => claimed && taken.has(claimed) && !vacated.has(claimed))
      if (database) blocked.set(tenant, { tenant, name, reason: "NameTaken", message: nameTaken(database) })
    }
    if (blocked.size === 0) return { changes: rest, stalls }
    stalls.push(...blocked.values())
    rest = rest.filter(({ tenant }) => !blocked.has(tenant))
  }
}

const nameTaken = (database: string) =>
  `database ${database} exists and is not this tenant's: choose another name, or move that database away`
