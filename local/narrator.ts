/** Tells on standard output what the parts do, from the JSON lines that they log. */
import { createLogUpdate } from "log-update"

type Line = { msg?: string; level?: string; name?: string; changes?: Planned[]; ms?: number } & Partial<
  Record<"tenant" | "tenantName" | "change" | "action" | "problem" | "approve", string>
> & { error?: string | { message?: string } }
type Planned = { tenantName: string; change: string; actions: string[] }

export type Narrator = {
  say: (text: string) => void
  /** Takes one line of a part's log. */
  hear: (part: string, line: string) => void
  /** Resolves when the part has logged this message, at once if it has already. */
  heard: (part: string, message: string) => Promise<void>
}

const seconds = (ms = 0) => `${(ms / 1000).toFixed(1)} s`
const RESULT: Record<string, string> = {
  create: "is served",
  restore: "is served again",
  rename: "is renamed",
  migrate: "is migrated",
  repair: "is repaired",
  update: "is updated",
  rotate: "has a new credential",
  suspend: "is suspended",
  resume: "is served again",
  retire: "is retired",
  purge: "is purged",
}

const messageOf = (error: Line["error"]) => (typeof error === "object" ? error.message : error)

const remedy = ({ tenant, approve }: Line) =>
  approve ? `; to allow it once: npx tenantry approve ${tenant} ${approve}` : ""

export function createNarrator(output: NodeJS.WriteStream): Narrator {
  const bar = output.isTTY ? createLogUpdate(output) : undefined
  const expected = new Map<string, PromiseWithResolvers<void>>()
  const expect = (key: string) => {
    const found = expected.get(key) ?? Promise.withResolvers<void>()
    expected.set(key, found)
    return found
  }
  let done = 0
  let total = 0

  const say = (text: string) => {
    bar?.clear()
    output.write(`${text}\n`)
  }
  const progress = (text: string) => {
    const width = 24
    const filled = Math.round((done / Math.max(1, total)) * width)
    bar?.(`[${"#".repeat(filled)}${"-".repeat(width - filled)}] ${done} of ${total} steps  ${text}`)
  }

  const tell = (line: Line) => {
    const who = line.tenantName ?? ""
    switch (line.msg) {
      case "plan made": {
        const changes = line.changes ?? []
        done = 0
        total = changes.reduce((sum, { actions }) => sum + actions.length, 0)
        say(
          `plan: ${changes.map(({ change, tenantName }) => `${change} ${tenantName}`).join(", ")} (${total} ${total === 1 ? "step" : "steps"})`,
        )
        return
      }
      case "action done":
        done++
        return progress(`${who}: ${line.action}`)
      case "change done":
        say(`  ✓ ${who} ${RESULT[line.change ?? ""] ?? "is done"} after ${seconds(line.ms)}`)
        if (done < total) return progress("")
        bar?.clear()
        // Gives the terminal its cursor back.
        return bar?.done()
      case "change failed":
        return say(`  ✗ ${who}: ${line.change} failed: ${messageOf(line.error)}`)
      case "change withheld":
        return say(`  ! ${who}: ${line.change} is withheld: ${messageOf(line.error)}${remedy(line)}`)
      case "tenant stalled":
        return say(`  ! ${who} is stalled: ${messageOf(line.error)}${remedy(line)}`)
      case "file refused":
        return say(`  ! ${line.problem}`)
      default:
        // The API warns of each request that it turns away, which whoever asked has been told.
        if (!["error", "fatal", ...(line.name === "api" ? [] : ["warn"])].includes(line.level ?? "")) return
        return say(
          `  ! ${[line.name, line.msg, messageOf(line.error) ?? line.problem].filter(Boolean).join(": ")}`,
        )
    }
  }

  return {
    say,
    hear: (part, text) => {
      let line: Line
      try {
        line = JSON.parse(text) as Line
      } catch {
        return say(`  ! ${part}: ${text}`)
      }
      tell(line)
      if (line.msg) expect(`${part} ${line.msg}`).resolve()
    },
    heard: (part, message) => expect(`${part} ${message}`).promise,
  }
}
