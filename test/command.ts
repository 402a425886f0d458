import { spawn } from "node:child_process"
import { once } from "node:events"
import path from "node:path"

/** How a command ended, and what it printed on either stream. */
export type Ended = { code: number | null; signal: NodeJS.Signals | null; output: string }

export type Command = {
  /** The process group that the command and its children are, unless they leave it. */
  group: number
  /** What it has printed so far. */
  output: () => string
  isRunning: () => boolean
  /** Settles when it has ended and nobody can print to its streams any more. */
  ended: Promise<Ended>
}

/** Starts a command as a shell does: in a process group of its own, so that a Ctrl-C can reach all of it. */
export function startCommand(
  words: readonly string[],
  { print, ...where }: { cwd: string; env: NodeJS.ProcessEnv; print: (text: string) => void },
): Command {
  const child = spawn(words[0]!, words.slice(1), {
    ...where,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  })
  let output = ""
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text
      print(text)
    })
  }
  return {
    group: child.pid!,
    output: () => output,
    isRunning: () => child.exitCode === null && child.signalCode === null,
    ended: once(child, "close").then(() => ({ code: child.exitCode, signal: child.signalCode, output })),
  }
}

/** The PATH without the packages of this repository, which a person's shell does not have either. */
export const machinePath = (): string =>
  (process.env["PATH"] ?? "")
    .split(path.delimiter)
    .filter((part) => !part.includes("node_modules"))
    .join(path.delimiter)
