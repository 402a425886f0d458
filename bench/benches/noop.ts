/** A pass over a large fleet in which nothing is to be done, beside the bare calls that list it. */
import { fork } from "node:child_process"
import { once } from "node:events"
import path from "node:path"
import { HEAP } from "../../local/part.ts"
import type { Bench, Contestant, Figures } from "../bench.ts"
import { type Child, startChild } from "../child.ts"
import { branchOf, projectsOf, writeFleet } from "../noop/fleet.ts"
import { MIGRATIONS } from "../sql.ts"

const program = (name: string) => path.join(import.meta.dirname, "../noop", name)

export const bench: Bench = {
  name: "noop",
  summary: "one pass with nothing to do, against servers that list as fast as Node can",
  rounds: { full: 11, quick: 3 },
  async *scenes({ isQuick, folder, say }) {
    const count = isQuick ? 2000 : 10_000
    const projects = projectsOf(count)
    const [first, ...others] = projects.map((project) => ({ project, branch: branchOf(project) }))
    say(`noop: writing ${count} files`)
    await writeFleet(folder, count)
    const listing = fork(program("listing.ts"), [path.join(folder, "listed.json"), folder], {
      stdio: ["ignore", "pipe", "inherit", "ipc"],
    })
    const [said] = (await once(listing.stdout!, "data")) as [Buffer]
    const env = {
      ...(JSON.parse(said.toString()) as Record<string, string>),
      TENANTS_DIR: path.join(folder, "tenants"),
      FLEET_FILE: path.join(folder, "fleet.yaml"),
      MIGRATIONS_DIR: MIGRATIONS,
      NEON_API_KEY: "a-key-that-opens-nothing",
      NEON_PROJECT_ID: first!.project,
      NEON_BRANCH_ID: first!.branch,
      NEON_CELLS: others.map(({ project, branch }) => `${project}/${branch}`).join(","),
      // Neon takes 20 lists at once, but not again and again, as here.
      NEON_REQUESTS_PER_SECOND: "10000",
      NEON_DATABASE_OWNER: "owner",
      NODE_OPTIONS: HEAP,
    }
    const start = (what: string) => startChild(program("pass.ts"), [what], env)
    const [ours, bare, diff] = [start("ours"), start("bare"), start("diff")]
    try {
      yield {
        name: `${count} tenants in ${projects.length} cells`,
        contestants: [contestant("bare lists", "limit", bare), contestant("tenantry", "ours", ours, diff)],
        metrics: [
          { name: "ms", isCompared: true },
          { name: "diff ms", digits: 1 },
          { name: "MB resident", isCompared: true },
        ],
        anchor: "bare lists",
        targets: [
          { metric: "ms", of: "tenantry", against: "bare lists", atMost: 1.3 },
          { metric: "diff ms", of: "tenantry", atMost: 50 },
          { metric: "MB resident", of: "tenantry", atMost: 300 },
        ],
        // What is read first is read from the disk, and compiled.
        warmups: 2,
      }
    } finally {
      for (const child of [ours, bare, diff]) await child.close()
      listing.disconnect()
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
