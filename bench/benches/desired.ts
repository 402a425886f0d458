/** Files of a large fleet: read, validated and compared, cold and when little changed, and how soon an edit is seen. */
import { readdirSync, readFileSync } from "node:fs"
import path from "node:path"
import { HEAP } from "../../local/part.ts"
import { type Child, startChild } from "../child.ts"
import { writeFleet } from "../noop/fleet.ts"
import { parse } from "yaml"
import type { Bench, Contestant, Figures, Target } from "../bench.ts"

const PROGRAM = path.join(import.meta.dirname, "../desired/read.ts")

const BYTES = "bytes only"

/** Of 10,000 files. */
const TARGETS: Target[] = [
  { metric: "ms", of: "a new process", atMost: 2000 },
  { metric: "ms", of: "nothing changed", atMost: 300 },
  { metric: "ms", of: "one file changed", atMost: 300 },
  { metric: "ms", of: "one file changed, from its edit on", atMost: 1000 },
  { metric: "MB resident", of: "a new process", atMost: 300 },
]

export const bench: Bench = {
  name: "desired",
  summary: "files in folders of 100: read, validated and compared with what is observed",
  rounds: { full: 7, quick: 1 },
  async *scenes({ isQuick, folder, say }) {
    const count = isQuick ? 2000 : 10_000
    say(`desired: writing ${count} files`)
    await writeFleet(folder, count)
    const start = () => startChild(PROGRAM, [folder], { NODE_OPTIONS: HEAP })
    const running = start()
    await running.ask("turn")
    try {
      yield {
        name: `${count} files`,
        contestants: [
          { name: BYTES, role: "limit", measure: async () => readAll(folder, () => {}) },
          { name: "JSON.parse of as much", role: "limit", measure: async () => readAll(folder, parseJson) },
          { name: "yaml, no rules", role: "peer", measure: async () => readAll(folder, parse) },
          {
            name: "a new process",
            role: "ours",
            measure: async () => {
              const fresh = start()
              try {
                return await fresh.ask<Figures>("turn")
              } finally {
                await fresh.close()
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
        anchor: BYTES,
        targets: isQuick ? [] : TARGETS,
      }
    } finally {
      await running.close()
    }
  },
}

const contestant = (name: string, child: Child, what: string): Contestant => ({
  name,
  role: "ours",
  measure: () => child.ask<Figures>(what),
})

/** Reads every tenant's file, one after the other, and has `use` make something of it; in this process, which is warm. */
function readAll(folder: string, use: (text: string) => unknown): Figures {
  const begun = performance.now()
  for (const entry of readdirSync(path.join(folder, "tenants"), { recursive: true, withFileTypes: true }))
    if (entry.isFile()) use(readFileSync(path.join(entry.parentPath, entry.name), "utf8"))
  return { ms: performance.now() - begun }
}

/** A file's two fields, as the same number of characters of JSON would be parsed. */
const parseJson = (text: string): unknown =>
  JSON.parse(`{"${text.trimEnd().replaceAll(": ", '":"').replaceAll("\n", '","')}"}`)
