/** One cell of the fault matrix: a fault, the call that meets it, and the change that makes this call. */
import type { ChangeName } from "./changes.ts"
import type { Expected } from "./faults.ts"
import type { FleetWorld } from "./world.ts"

export type Cell = {
  /** The fault in words, without its call. */
  fault: string
  call: string
  change: ChangeName
  /** What must be there for the fault to matter. */
  before?: (world: FleetWorld) => Promise<void>
  /** `subject`: the tenant that the change concerns, as it should be in the end. */
  arm: (world: FleetWorld, subject: Expected | undefined) => void | Promise<void>
  /** Where the fault lasts until a person acts: what the reconciler must say, and what the person does. */
  person?: { reason: RegExp; mend: (world: FleetWorld, subject: Expected | undefined) => unknown }
  /** The mutation whose answer is lost, and whether it was acted on. */
  lost?: { route: string; acted: boolean }
  /** Neon acts on the call, or answers it, so many milliseconds after the client has sent it. */
  lateBy?: number
  /** What else the fault left that must be as it was; [] where it is. It also takes it away. */
  after?: (world: FleetWorld) => Promise<string[]>
  /** A list that is not true is no reason to replace a credential: at most this many are published in the cell. */
  publishes?: number
  /** A process must make the call, because this one remembers the answer. */
  byProcess?: boolean
  /** Runs in `npm test`, and not only in the full matrix. */
  quick: boolean
}

export const nameOf = ({ fault, call }: Cell): string => `${fault}, at ${call}`

/** The matrix as text: a line for each fault, a column for each call; "." where the call cannot meet the fault. */
export function renderMatrix(cells: readonly Cell[], marks: ReadonlyMap<Cell, string>): string {
  const calls = [...new Set(cells.map(({ call }) => call))]
  const kinds = [...new Set(cells.map(({ fault }) => fault))]
  const width = Math.max(...kinds.map(({ length }) => length))
  const rows = kinds.map((fault) => {
    const found = calls.map((call, column) => {
      const cell = cells.find((candidate) => candidate.fault === fault && candidate.call === call)
      return ((cell && marks.get(cell)) ?? (cell ? "-" : ".")).padEnd(calls[column]!.length)
    })
    return `${fault.padEnd(width)}  ${found.join("  ")}`.trimEnd()
  })
  return [`${"".padEnd(width)}  ${calls.join("  ")}`, ...rows].join("\n")
}
