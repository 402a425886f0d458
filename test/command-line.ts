/** The command line without a process of its own, for tests that ask it many things. */
import { createProgram, explainError, runProgram } from "../reconciler/program.ts"

/**
 * What the words would print on either stream, and their exit code. The variables are this process's while it runs,
 * so one runs at a time.
 */
export async function runHere(
  words: readonly string[],
  variables: Record<string, string> = {},
): Promise<{ code: number; output: string }> {
  const before = { ...process.env }
  const listeners = SIGNALS.map((name) => new Set(process.listeners(name)))
  const write = process.stdout.write.bind(process.stdout)
  let output = ""
  const capture = (text: string | Uint8Array) => {
    output += String(text)
    return true
  }
  Object.assign(process.env, variables)
  const program = createProgram()
  // What commander shows by itself; commands inherit nothing that is set now.
  for (const command of [program, ...program.commands])
    command.configureOutput({ writeOut: capture, writeErr: capture })
  process.stdout.write = capture
  process.exitCode = undefined
  try {
    await runProgram(program, words)
    return { code: exitCode(), output }
  } catch (error) {
    const message = explainError(error, program, words)
    return message === undefined ? { code: 0, output } : { code: 1, output: `${output}${message}\n` }
  } finally {
    process.stdout.write = write
    process.exitCode = undefined
    for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name]
    Object.assign(process.env, before)
    for (const [index, name] of SIGNALS.entries())
      for (const listener of process.listeners(name))
        if (!listeners[index]!.has(listener)) process.off(name, listener)
  }
}

const exitCode = () => Number(process.exitCode ?? 0)
const SIGNALS = ["SIGINT", "SIGTERM"] as const
