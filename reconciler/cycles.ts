/** Tenants who take each other's names: Postgres knows no swap, so somebody makes room first. PURE */
import type { Action, Change } from "./action.ts"
import { isSameName, nameKey, transitDatabaseName } from "./tenant.ts"

type Rename = Extract<Action, { kind: "rename" }>
const renameOf = (change: Change) =>
  change.actions.find((action): action is Rename => action.kind === "rename")

/** The same changes: where renames wait for each other in a circle, one of them steps aside to a name of its own first. */
export function withoutCycles(changes: readonly Change[]): readonly Change[] {
  const aside = keysOfCycles(changes)
  return changes.map((change) => (aside.has(change) ? stepAside(change) : change))
}

type Move = { change: Change; from: string; to: string }

/** Of each circle, in one cell or over several, the change whose stepping aside opens it. */
function keysOfCycles(changes: readonly Change[]): Set<Change> {
  const moves = changes.flatMap((change): Move[] => {
    const rename = renameOf(change)
    // Who only changes the case of its name waits for nobody.
    if (!rename || isSameName(rename.from, rename.to)) return []
    return [{ change, from: nameKey(rename.from), to: nameKey(rename.to) }]
  })
  const byFrom = Map.groupBy(moves, ({ from }) => from)
  const aside = new Set<Change>()
  const path = new Set<Move>()
  const settled = new Set<Move>()
  const follow = (move: Move) => {
    if (path.has(move)) aside.add(move.change)
    if (path.has(move) || settled.has(move)) return
    path.add(move)
    for (const rival of byFrom.get(move.to) ?? []) follow(rival)
    path.delete(move)
    settled.add(move)
  }
  for (const move of moves) follow(move)
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
