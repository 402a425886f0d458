/**
 * Which cell a tenant lives in: where its marker or the ledger says, and for a new one where its file says or where there
 * is most room. Nobody is moved to another cell, and nothing is done for whom the cell cannot be seen. PURE
 */
import type { Stall } from "./action.ts"
import type { Tenant } from "./tenant.ts"

/** A database's name is its own in one cell only. */
export type Place = { cell: string; name: string }

/** "cell/name", for keys and for people; no cell's name has a slash. */
export const fullName = ({ cell, name }: Place): string => `${cell}/${name}`

/** How databases are called to people: where there is but one cell, it goes without saying. */
export const placeNamer = (cells: readonly string[]): ((place: Place) => string) =>
  cells.length > 1 ? fullName : ({ name }) => name

/** Databases that Neon takes in one branch (neon.com/docs/introduction/plans). */
const ROOM = 500

/** The cell with the fewest databases, and of equals the first; undefined where none has room. `counts`: by cell. */
export function roomiest(counts: ReadonlyMap<string, number>): string | undefined {
  let best: string | undefined
  for (const [cell, count] of counts) if (count < (best === undefined ? ROOM : counts.get(best)!)) best = cell
  return best
}

/** Says of one new tenant after the other where it is to live; each takes up room. `taken`: where databases are. */
export function openRoom(
  cells: readonly string[],
  taken: Iterable<Pick<Place, "cell">>,
): (tenant: Tenant) => string | undefined {
  const counts = new Map(cells.map((cell) => [cell, 0]))
  const take = (cell: string) => {
    if (counts.has(cell)) counts.set(cell, counts.get(cell)! + 1)
  }
  for (const { cell } of taken) take(cell)
  return (tenant) => {
    const cell = tenant.cell ?? roomiest(counts)
    if (cell !== undefined) take(cell)
    return cell
  }
}

/**
 * Why nothing may be done for a tenant; undefined where its cell is no obstacle. `home`: where the marker or the ledger
 * has it; `wanted`: where its file wants it; `cell`: where it lives or is to live.
 */
export function misplaced(
  cells: readonly string[],
  { home, wanted, cell }: Record<"home" | "wanted" | "cell", string | undefined>,
): Pick<Stall, "reason" | "message"> | undefined {
  if (home !== undefined && wanted !== undefined && wanted !== home) {
    const message = `its file says cell: ${wanted}, and it lives in ${home}, from where it is not moved: put "cell: ${home}" back, or remove the line`
    return { reason: "CellChange", message }
  }
  if (cell === undefined) {
    const message = `every cell has the ${ROOM} databases that Neon takes in a branch: make a project, and add it to NEON_CELLS`
    return { reason: "CellsFull", message }
  }
  if (cells.includes(cell)) return undefined
  const message =
    home === undefined
      ? `its file says cell: ${cell}, which is not configured: write one of ${cells.slice(0, 5).join(", ")}, or add it to NEON_CELLS`
      : `the ledger says that it lives in the cell ${cell}, which is not configured: add it with its branch to NEON_CELLS`
  return { reason: "CellUnknown", message }
}
