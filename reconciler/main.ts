#!/usr/bin/env node
/** The command line. The only place that knows what an error's exit code is. */
import { useLocalWorld } from "./local-world.ts"
import { createProgram, explainError, runProgram } from "./program.ts"

// Whoever reads our output may have read enough, as "head" does.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error
  process.exit(0)
})

const words = process.argv.slice(2)
const program = createProgram()
try {
  useLocalWorld(process.env)
  await runProgram(program, words)
} catch (error) {
  const message = explainError(error, program, words)
  if (message !== undefined) {
    process.stderr.write(`${message}\n`)
    process.exitCode = 1
  }
}
