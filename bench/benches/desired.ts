/** Files of a large fleet: read, validated and compared, cold and when little changed, and how soon an edit is seen. */
import { type ChildProcess, fork } from "node:child_process"
import { once } from "node:events"
import { readdirSync, readFileSync } from "node:fs"
import path from "node:path"
import { writeFleet } from "../noop/fleet.ts"
import type { Bench, Contestant, Figures } from "../bench.ts"

const PROGRAM = path.join(import.meta.dirname, "../desired/read.ts")

export const bench: Bench = {
  name: "desired",
  summary: "files in folders of 100: read, validated and compared with what is observed",
  rounds: { full: 7, quick: 1 },
  async *scenes({ isQuick, folder, say }) {
    const count = isQuick ? 2000 : 10_000
    say(`desired: writing ${count} files`)
    await writeFleet(folder, count)
    const start = () => fork(PROGRAM, [folder], { stdio: ["ignore", "inherit", "inherit", "ipc"] })
    const running = start()
    await ask(running, "turn")
    try {
      yield {
        name: `${count} files`,
        contestants: [
          { name: "bytes only", role: "limit", measure: async () => readBytes(path.join(folder, "tenants")) },
          {
            name: "a new process",
            role: "ours",
            measure: async () => {
              const fresh = start()
              try {
                return await ask(fresh, "turn")
              } finally {
                fresh.disconnect()
              }
            },
          },
          contestant("nothing changed", running, "turn"),
          contestant("one file changed", running, "edit"),
          contestant("one file changed, from its edit on", running, "watch"),
        ],
        metrics: [
          { name: "ms", isCompared: true },
          // What it would take on a machine that does nothing else, give or take the other core.
          { name: "CPU ms" },
          { name: "MB resident" },
        ],
        anchor: "bytes only",
        targets: [
          { metric: "ms", of: "a new process", atMost: 2000 },
          { metric: "ms", of: "nothing changed", atMost: 300 },
          { metric: "ms", of: "one file changed", atMost: 300 },
          { metric: "ms", of: "one file changed, from its edit on", atMost: 1000 },
          { metric: "MB resident", of: "a new process", atMost: 300 },
        ],
      }
    } finally {
      if (running.connected) running.disconnect()
    }
  },
}

const contestant = (name: string, child: ChildProcess, what: string): Contestant => ({
  name,
  role: "ours",
  measure: () => ask(child, what),
})

/** Throws where the program ends instead of answering. */
async function ask(child: ChildProcess, what: string): Promise<Figures> {
  child.send(what)
  const ended = once(child, "exit").then(() => {
    throw new Error(`${what}: the program has ended, see above`)
  })
  const [figures] = (await Promise.race([once(child, "message"), ended])) as [Figures]
  return figures
}

/** What nobody can be quicker than who reads every file. */
function readBytes(directory: string): Figures {
  const begun = performance.now()
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true }))
    if (entry.isFile()) readFileSync(path.join(entry.parentPath, entry.name))
  return { ms: performance.now() - begun }
}
