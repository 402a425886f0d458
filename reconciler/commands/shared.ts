/** What every command does the same way. */
import type { z } from "zod"
import { readConfig } from "../config.ts"
import { TerminalError } from "../errors.ts"
import { redact } from "../log.ts"
import type { Sources } from "../reconcile.ts"
import { openWorld, type World } from "../world.ts"

/** One answer on standard output, without credentials. */
export const print = (text: string): boolean => process.stdout.write(`${redact(text)}\n`)

/** The files and the systems that the environment names. Throws TerminalError where it is not whole. */
export function openSystem(): { sources: Sources; world: World } {
  const config = readConfig(process.env)
  return { sources: config.sources, world: openWorld(config) }
}

/** Aborts at SIGTERM or Ctrl-C; a second one ends the process at once. */
export function onSignal(): AbortSignal {
  const stop = new AbortController()
  for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, () => stop.abort())
  return stop.signal
}

/** The argument as the schema reads it. Throws TerminalError that says which one and why. */
export function parseArgument<S extends z.ZodType>(schema: S, value: string, message: string): z.output<S> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw new TerminalError("BadArgument", `${message}: ${parsed.error.issues[0]!.message}`)
}

/** The examples below a command's help. */
export const examples = (...lines: string[]): string =>
  `\nExamples:\n${lines.map((line) => `  $ tenantry ${line}`).join("\n")}`
