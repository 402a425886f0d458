/** A part of a plan, and what it may not exceed. PURE */
import { type Change, claimedBy, vacatedBy } from "./action.ts"
import { fullName } from "./cells.ts"
import { TerminalError } from "./errors.ts"
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
  const taken = new Set(databases.map(fullName))
  const vacated = new Set(
    changes.flatMap(({ cell, actions }) =>
      actions.map((action) => fullName({ cell, name: vacatedBy(action) ?? "" })),
    ),
  )
  for (const { name, cell, actions } of changes) {
    const claimed = actions.map(claimedBy).find((each) => {
      const place = fullName({ cell, name: each ?? "" })
      return taken.has(place) && !vacated.has(place)
    })
    if (!claimed) continue
    const holder = plan.changes.find(
      (change) => change.cell === cell && change.actions.some((action) => vacatedBy(action) === claimed),
    )
    throw new TerminalError(
      "NameTaken",
      `${name} needs the name ${claimed}, which ${holder?.name ?? "another tenant"} has to give up first: apply both`,
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
