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

await main().catch(report)
// What a bench that failed has left running is on a leash, and ends with this process.
process.exit()

/** A turn may fail because the terminal's Ctrl-C has ended its programs, too. */
function report(error: unknown): void {
  process.exitCode = isInterrupted ? 130 : 1
  if (!isInterrupted) say(`bench: ${error instanceof Error ? error.stack : String(error)}`)
}

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
  const results: Result[] = []
  for (const name of positionals.length > 0 ? positionals : known) {
    const { bench } = (await import(path.join(BENCHES, `${name}.ts`))) as { bench: Bench }
    const before = loadAverage()
    const rounds = Number(values.rounds ?? (values.quick ? bench.rounds.quick : bench.rounds.full))
    const begun = performance.now()
    const scenes: SceneResult[] = []
    // One that cannot be run takes none of the others with it.
    let fault: string | undefined
    await runBench(bench, values.quick, rounds, scenes).catch((error: unknown) => {
      report(error)
      fault = error instanceof Error ? error.message : String(error)
      print(`${name} HAS FAILED: ${fault}\n`)
    })
    const load: [number, number] = [before, loadAverage()]
    const took = ((performance.now() - begun) / 60_000).toFixed(1)
    print(`${name} took ${took} minutes; load average of the machine meanwhile: ${load.join(" to ")}\n`)
    results.push({ bench: name, load, scenes, ...(fault === undefined ? {} : { fault }) })
    if (values.json !== undefined) await save(values.json, { quick: values.quick, machine, results })
    if (isInterrupted) return
  }
}

/** `fault`: why it has no more scenes. */
type Result = {
  bench: string
  load: [before: number, after: number]
  scenes: SceneResult[]
  fault?: string
}

async function save(file: string, content: object): Promise<void> {
  await mkdir(path.dirname(path.resolve(file)), { recursive: true })
  await writeFile(file, `${JSON.stringify({ at: new Date().toISOString(), ...content }, null, 2)}\n`)
}

/** Adds each scene's result to `results`. */
async function runBench(
  bench: Bench,
  isQuick: boolean,
  rounds: number,
  results: SceneResult[],
): Promise<void> {
  const size = isQuick ? "quick" : "full"
  const memory = bench.inMemory && (await memoryFolder(bench.inMemory[size]))
  const folder = memory ?? (await mkdtemp(path.join(tmpdir(), `tenantry-bench-${bench.name}-`)))
  const place = memory ? "in memory" : "on disk"
  say(`${bench.name}: ${bench.summary}`)
  try {
    for await (const scene of bench.scenes({ isQuick, folder, place, say })) {
      const result = await measure(scene, rounds, (round, contestant) => {
        if (isInterrupted) throw new Error("interrupted")
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
}
