/** A part of a plan, and what it may not exceed. PURE */
import type { Change } from "./action.ts"
import { fullName } from "./cells.ts"
import { TerminalError } from "./errors.ts"
import { openNames, vacatersIn } from "./names.ts"
import type { Observed } from "./plan.ts"
import type { Plan } from "./policy.ts"
import { isRemoval, isWaiting } from "./render-plan.ts"

/**
 * The plan with only the changes that are wanted. Throws TerminalError where one of them needs a name that a tenant
 * who is left out would have to give up first.
 */
export function selectChanges(
  plan: Plan,
  { databases }: Pick<Observed, "databases">,
  isWanted: (change: Change) => boolean,
): Plan {
  const changes = plan.changes.filter(isWanted)
  const rivalsOf = openNames({ databases, unmanaged: plan.unmanaged, unseen: [] })
  const [wanted, all] = [vacatersIn(changes), vacatersIn(plan.changes)]
  for (const change of changes) {
    const rival = rivalsOf(change).find((place) => !wanted.has(fullName(place)))
    if (!rival) continue
    const holder = all.get(fullName(rival))?.name ?? "another tenant"
    throw new TerminalError(
      "NameTaken",
      `${change.name} needs the name ${rival.name}, which ${holder} has to give up first: apply both`,
    )
  }
  return { ...plan, changes, withheld: plan.withheld.filter(({ change }) => isWanted(change)) }
}

/** How many changes and removals one command may make, all its passes together. */
export type Limits = { changes: number | undefined; removals: number | undefined }

/** One tenant's change, however many passes it takes. */
export const changeKey = ({ tenant, kind }: Pick<Change, "tenant" | "kind">): string => `${tenant} ${kind}`

/** Throws TerminalError where what is done, with what is planned and what follows in later passes, exceeds a limit. */
export function assertWithin(limits: Limits, done: readonly Change[], plan: Plan): void {
  const following = plan.withheld.filter(isWaiting).map(({ change }) => change)
  const all = [...done, ...plan.changes, ...following]
  const count = (changes: readonly Change[]) => new Set(changes.map(changeKey)).size
  const rest = done.length > 0 ? "nothing more was done" : "nothing was done"
  const check = (what: "changes" | "removals", found: number) => {
    const limit = limits[what]
    if (limit === undefined || found <= limit) return
    const message = `${found} ${what} are more than the ${limit} that --max-${what} allows, so ${rest}: look at "tenantry plan", and allow more`
    throw new TerminalError("TooManyChanges", message)
  }
  check("changes", count(all))
  check("removals", count(all.filter(isRemoval)))
}
