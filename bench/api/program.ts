/** A server under measurement: a Node program in a process of its own that says where it listens. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"

export type Program = {
  url: string
  pid: number
  /** Throws where it has ended by itself: what was measured is worth nothing then. */
  stop: () => Promise<void>
}

const GRACE = 10_000

/**
 * Starts `node <file> <words>` with nothing but `environment`, and waits for a line of its output in which `listening` finds the
 * port. Throws with what it printed when it ends instead.
 */
export async function startProgram(
  file: string,
  environment: Record<string, string>,
  listening: RegExp,
  words: readonly string[] = [],
): Promise<Program> {
  const child = spawn(process.execPath, [...profiling(file), file, ...words], {
    env: { PATH: process.env["PATH"] ?? "", NODE_ENV: "production", ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  })
  let printed = ""
  const port = new Promise<string>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on("line", (line) => {
        if (printed.length < 4000) printed += `${line}\n`
        const match = listening.exec(line)
        if (match) resolve(match[1]!)
      })
    }
    child.once("exit", () => reject(new Error(`${file} has ended:\n${printed}`)))
    child.once("error", reject)
  })
  return {
    url: `http://127.0.0.1:${await port}`,
    pid: child.pid!,
    async stop() {
      const how = child.exitCode ?? child.signalCode
      if (how !== null) throw new Error(`${file} has ended while it was measured (${how}):\n${printed}`)
      const ended = once(child, "exit")
      child.kill("SIGTERM")
      const late = setTimeout(() => child.kill("SIGKILL"), GRACE)
      await ended
      clearTimeout(late)
    },
  }
}

/** With BENCH_PROFILE=<folder> each program leaves a CPU profile there. */
function profiling(file: string): string[] {
  const folder = process.env["BENCH_PROFILE"]
  return folder
    ? [
        "--cpu-prof",
        `--cpu-prof-dir=${folder}`,
        `--cpu-prof-name=${file.split("/").at(-1)}.${Date.now()}.cpuprofile`,
      ]
    : []
}
