/** What every command does the same way. */
import { writeFile } from "node:fs/promises"
import type { z } from "zod"
import { readConfig } from "../config.ts"
import { TerminalError } from "../errors.ts"
import { redact } from "../log.ts"
import type { Sources } from "../reconcile.ts"
import { openWorld, type World } from "../world.ts"

/** One answer on standard output, without credentials. */
export const print = (text: string): boolean => process.stdout.write(`${redact(text)}\n`)

/** A line about what goes on, on standard error. */
export const tell = (line: string): boolean => process.stderr.write(`${redact(line)}\n`)

/** The files and the systems that the environment names. Throws TerminalError where it is not whole. */
export function openSystem(): { sources: Sources; world: World } {
  const config = readConfig(process.env)
  return { sources: config.sources, world: openWorld(config) }
}

/** Throws TerminalError where `file` cannot be written. */
export async function writeText(file: string, text: string): Promise<void> {
  await writeFile(file, text).catch((error: NodeJS.ErrnoException) => {
    throw new TerminalError(
      "NotWritten",
      `${file}: cannot be written (${error.code}): check the folder and its permissions`,
    )
  })
}

/** How long what is under way may take to end after SIGTERM; milliseconds. */
const STOP_WITHIN = 8000

/**
 * Aborts at SIGTERM or Ctrl-C; a second one ends the process at once. What is under way may end; after a while the process
 * ends with `code` all the same: what is abandoned is safe, the next reconciler observes it and goes on.
 */
export function onSignal(code = 130): AbortSignal {
  const stop = new AbortController()
  stop.signal.addEventListener("abort", () => void setTimeout(() => process.exit(code), STOP_WITHIN).unref())
  for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, () => stop.abort())
  return stop.signal
}

/** The value as the schema reads it. `what`: as in "--name x y is no tenant's name: it must …". Throws TerminalError. */
export function parseArgument<S extends z.ZodType>(schema: S, value: string, what: string): z.output<S> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw new TerminalError("BadArgument", `${value} is no ${what}: it ${parsed.error.issues[0]!.message}`)
}

/** `what`: whose value it is, as in "--page". Throws TerminalError where it is no number from `min` to `max`. */
export function parseNumber(
  what: string,
  value: string,
  { min, max, isWhole = true }: { min: number; max?: number; isWhole?: boolean },
): number {
  const number = value.trim() === "" ? NaN : Number(value)
  const isFine = isWhole ? Number.isSafeInteger(number) : Number.isFinite(number)
  if (isFine && number >= min && number <= (max ?? Infinity)) return number
  const range = max === undefined ? `from ${min}` : `from ${min} to ${max}`
  throw new TerminalError(
    "BadArgument",
    `${what} must be a ${isWhole ? "whole " : ""}number ${range}, not ${value}`,
  )
}

/** `what`: whose value it is. Throws TerminalError where it is none of the choices. */
export function parseChoice<C extends string>(what: string, value: string, choices: readonly C[]): C {
  const found = choices.find((choice) => choice === value)
  if (found !== undefined) return found
  throw new TerminalError("BadArgument", `${what} must be one of ${choices.join(", ")}, not ${value}`)
}

/** The examples below a command's help. */
export const examples = (...lines: string[]): string =>
  `\nExamples:\n${lines.map((line) => `  $ tenantry ${line}`).join("\n")}`
