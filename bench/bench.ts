/**
 * What a bench is. Each file of bench/benches/ exports one as `bench`, and that is all there is to adding one. In a
 * scene every contestant does the same work, turn by turn, so that whatever else the machine does meets all of them.
 */

/** One turn's figures, by the name of their metric. A metric that is left out was not measured. */
export type Figures = Readonly<Record<string, number>>

export type Contestant = {
  name: string
  /**
   * ours: this repository. peer: what a user would pick instead. limit: the least that the work needs. bare: the same without
   * what the product is for.
   */
  role: "ours" | "peer" | "limit" | "bare"
  /** One turn, with everything that it needs made before and ended after what is timed. */
  measure: () => Promise<Figures>
}

export type Metric = {
  name: string
  /** Digits after the point. */
  digits?: number
  /** Whether it is shown as a share of the anchor's, too. */
  isCompared?: boolean
}

/** Holds for the contestant `of`: against another one as a ratio, by itself as a figure. */
export type Target = { metric: string; of: string; against?: string } & (
  | { atLeast: number }
  | { atMost: number }
)

export type Scene = {
  name: string
  contestants: readonly Contestant[]
  metrics: readonly Metric[]
  /** The contestant that the others are compared with. */
  anchor: string
  targets: readonly Target[]
  /** What should have been here and is not, and why; it is printed loudly. */
  missing?: readonly string[]
  /** Turns of each contestant that are not counted; 1 where it is not given. */
  warmups?: number
}

type Setting = {
  /** The run is to be over soon: fewer and smaller scenes. */
  isQuick: boolean
  /** A folder of this bench's own, removed when it is over. */
  folder: string
  /** Where that folder is: for the title of a scene to which it matters. */
  place: "in memory" | "on disk"
  /** Says on the terminal what goes on. */
  say: (text: string) => void
}

export type Bench = {
  name: string
  summary: string
  /** Counted turns of each contestant. */
  rounds: { full: number; quick: number }
  /** Bytes that it keeps in its folder, which is in memory then where the machine has room for them. */
  inMemory?: { full: number; quick: number }
  /** Makes one scene after the other; what is after `yield` and in `finally` clears up. */
  scenes: (setting: Setting) => AsyncGenerator<Scene>
}
