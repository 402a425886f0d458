/** Tenants who take each other's names: Postgres knows no swap, so somebody makes room first. PURE */
import type { Action, Change } from "./action.ts"
import { transitDatabaseName } from "./tenant.ts"

type Rename = Extract<Action, { kind: "rename" }>
const renameOf = (change: Change) =>
  change.actions.find((action): action is Rename => action.kind === "rename")

/** The same changes: where renames wait for each other in a circle, one of them steps aside to a name of its own first. */
export function withoutCycles(changes: readonly Change[]): readonly Change[] {
  const aside = keysOfCycles(changes)
  return changes.map((change) => (aside.has(change) ? stepAside(change) : change))
}

/** Of each circle, in one cell or over several, the change whose stepping aside opens it. */
function keysOfCycles(changes: readonly Change[]): Set<Change> {
  const byFrom = new Map(
    changes.flatMap((change) => {
      const rename = renameOf(change)
      return rename ? [[rename.from, { change, to: rename.to }] as const] : []
    }),
  )
  const settled = new Set<string>()
  const aside = new Set<Change>()
  for (const start of byFrom.keys()) {
    const path = new Set<string>()
    let from = start
    while (byFrom.has(from) && !settled.has(from) && !path.has(from)) {
      path.add(from)
      from = byFrom.get(from)!.to
    }
    if (path.has(from)) aside.add(byFrom.get(from)!.change)
    for (const name of path) settled.add(name)
  }
  return aside
}

function stepAside(change: Change): Change {
  const rest = transitDatabaseName(change.tenant)
  const actions = change.actions.flatMap((action): Action[] =>
    action.kind === "rename"
      ? [
          { ...action, to: rest },
          { ...action, from: rest },
        ]
      : [action],
  )
  return { ...change, actions }
}
