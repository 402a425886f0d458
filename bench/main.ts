/**
 * npm run bench -- [<name> …] [--quick] [--rounds <count>] [--json <file>]: measures, and prints tables of ratios. A target that is missed
 * is printed and fails nothing; a bench that cannot be run does.
 */
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import path from "node:path"
import { parseArgs } from "node:util"
import type { Bench } from "./bench.ts"
import { installPeers } from "./install.ts"
import { describeMachine, loadAverage, renderMachine } from "./machine.ts"
import { memoryFolder } from "./memory-folder.ts"
import { measure, type SceneResult } from "./measure.ts"
import { renderScene } from "./table.ts"

const BENCHES = path.join(import.meta.dirname, "benches")

class Interrupted extends Error {}

const say = (text: string) => void process.stderr.write(`${text}\n`)
const print = (text: string) => void process.stdout.write(`${text}\n`)

let isInterrupted = false
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    if (isInterrupted) process.exit(130)
    isInterrupted = true
    say("ending after this turn; once more ends at once and leaves temporary files")
  })
}

await main().catch((error: unknown) => {
  process.exitCode = error instanceof Interrupted ? 130 : 1
  if (!(error instanceof Interrupted)) say(`bench: ${error instanceof Error ? error.stack : String(error)}`)
})

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: "boolean", default: false },
      rounds: { type: "string" },
      json: { type: "string" },
    },
  })
  const known = (await readdir(BENCHES)).map((file) => path.basename(file, ".ts")).sort()
  const unknown = positionals.filter((name) => !known.includes(name))
  if (unknown.length > 0)
    throw new Error(`there is no bench ${unknown.join(", ")}: there are ${known.join(", ")}`)
  if (values.rounds !== undefined && !/^[1-9]\d{0,3}$/.test(values.rounds))
    throw new Error("--rounds takes a whole number from 1 to 9999")
  installPeers(say)
  const machine = describeMachine()
  print(`${renderMachine(machine)}\n`)
  const results: { bench: string; load: [before: number, after: number]; scenes: SceneResult[] }[] = []
  for (const name of positionals.length > 0 ? positionals : known) {
    const { bench } = (await import(path.join(BENCHES, `${name}.ts`))) as { bench: Bench }
    const before = loadAverage()
    const rounds = Number(values.rounds ?? (values.quick ? bench.rounds.quick : bench.rounds.full))
    const scenes = await runBench(bench, values.quick, rounds)
    const load: [number, number] = [before, loadAverage()]
    print(`load average of the machine while ${name} ran: ${load.join(" to ")}\n`)
    results.push({ bench: name, load, scenes })
  }
  if (values.json === undefined) return
  await mkdir(path.dirname(path.resolve(values.json)), { recursive: true })
  const report = { at: new Date().toISOString(), quick: values.quick, machine, results }
  await writeFile(values.json, `${JSON.stringify(report, null, 2)}\n`)
}

async function runBench(bench: Bench, isQuick: boolean, rounds: number): Promise<SceneResult[]> {
  const size = isQuick ? "quick" : "full"
  const memory = bench.inMemory && (await memoryFolder(bench.inMemory[size]))
  const folder = memory ?? (await mkdtemp(path.join(tmpdir(), `tenantry-bench-${bench.name}-`)))
  const place = memory ? "in memory" : "on disk"
  const results: SceneResult[] = []
  say(`${bench.name}: ${bench.summary}`)
  try {
    for await (const scene of bench.scenes({ isQuick, folder, place, say })) {
      const result = await measure(scene, rounds, (round, contestant) => {
        if (isInterrupted) throw new Interrupted()
        say(
          `${bench.name}, ${scene.name}: ${round > 0 ? `round ${round} of ${rounds}` : "warm-up"}, ${contestant}`,
        )
      })
      results.push(result)
      print(renderScene(bench.name, result, scene.metrics))
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  return results
}
