/** What cannot be undone is done only to whom a person names. */
import { once } from "node:events"
import { createInterface } from "node:readline/promises"
import { TerminalError } from "../errors.ts"

type Streams = {
  input: NodeJS.ReadableStream & { isTTY?: boolean }
  output: NodeJS.WritableStream
}

/**
 * Returns where `yes` or what is typed on the terminal is `name`. Throws TerminalError where it is not, and where
 * there is nobody to ask. `what`: the deed, as in "purge Acme: its data is deleted for ever".
 */
export async function confirmName(
  name: string,
  what: string,
  yes: string | undefined,
  { input, output }: Streams = { input: process.stdin, output: process.stderr },
): Promise<void> {
  if (yes !== undefined) {
    if (yes === name) return
    throw refuse(`--yes says ${yes}, and this is about ${name}`)
  }
  if (!input.isTTY) throw refuse(`there is no terminal to ask on: to ${what}, add --yes ${name}`)
  const asking = createInterface({ input, output })
  // Ctrl-C ends the question with an error, Ctrl-D only closes.
  const closed = once(asking, "close").then(() => undefined)
  const typed = await Promise.race([asking.question(`To ${what}, type its name: `), closed]).catch(
    () => undefined,
  )
  asking.close()
  if (typed === undefined) {
    output.write("\n")
    throw refuse("you stopped it")
  }
  if (typed.trim() !== name) throw refuse(`that is not ${name}`)
}

const refuse = (why: string) => new TerminalError("NotConfirmed", `nothing was done: ${why}`)
