/** A pass over a large fleet in which nothing is to be done, beside the bare calls that list it. */
import path from "node:path"
import type { Bench, Contestant, Figures, Target } from "../bench.ts"
import { type Child, startChild } from "../child.ts"
import { projectsOf } from "../noop/fleet.ts"
import { startListing } from "../noop/start-listing.ts"

const PASS = path.join(import.meta.dirname, "../noop/pass.ts")

/** Of the whole fleet. */
const ABSOLUTE: Target[] = [
  { metric: "diff ms", of: "tenantry", atMost: 50 },
  { metric: "MB resident", of: "tenantry", atMost: 300 },
]

export const bench: Bench = {
  name: "noop",
  summary: "one pass with nothing to do, against servers that list as fast as Node can",
  rounds: { full: 11, quick: 3 },
  async *scenes({ isQuick, folder, say }) {
    const count = isQuick ? 2000 : 10_000
    say(`noop: writing ${count} files`)
    const listing = await startListing(folder, count)
    const start = (what: string) => startChild(PASS, [what], listing.environment)
    const [ours, bare, diff] = [start("ours"), start("bare"), start("diff")]
    try {
      yield {
        name: `${count} tenants in ${projectsOf(count).length} cells`,
        contestants: [contestant("bare lists", "limit", bare), contestant("tenantry", "ours", ours, diff)],
        metrics: [
          { name: "ms", isCompared: true },
          { name: "diff ms", digits: 1 },
          { name: "MB resident", isCompared: true },
        ],
        anchor: "bare lists",
        targets: [
          { metric: "ms", of: "tenantry", against: "bare lists", atMost: 1.3 },
          ...(isQuick ? [] : ABSOLUTE),
        ],
        // What is read first is read from the disk, and compiled.
        warmups: 2,
      }
    } finally {
      for (const child of [ours, bare, diff]) await child.close()
      listing.close()
    }
  },
}

/** The figures of all these processes, one after the other. */
const contestant = (name: string, role: Contestant["role"], ...children: Child[]): Contestant => ({
  name,
  role,
  async measure() {
    const figures: Figures[] = []
    for (const child of children) figures.push(await child.ask<Figures>("turn"))
    return Object.assign({}, ...figures) as Figures
  },
})
