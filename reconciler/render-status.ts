/** The fleet's status as a table that fits the terminal. */
import type { FleetStatus } from "./controller.ts"
import type { TenantStatus } from "./status.ts"
import { remedy } from "./render-plan.ts"
import { nameKey } from "./tenant.ts"
import { type Colour, fit, type Look, pad, PLAIN, safe, widthOf } from "./terminal.ts"

type Condition = TenantStatus["condition"]

/** Which tenants are meant; all where nothing is said. `page` counts from 1, `limit` is tenants per page. */
export type Choice = {
  condition?: Condition | undefined
  state?: string | undefined
  /** A part of the name. */
  name?: string | undefined
  page: number
  limit: number
}

const COLOUR: Record<Condition, Colour> = { Ready: "green", Reconciling: "yellow", Stalled: "red" }
const URGENCY: Record<Condition, number> = { Stalled: 0, Reconciling: 1, Ready: 2 }

/** Those that are meant, on whatever page: who needs a person first, then by name. */
export function choose(
  tenants: readonly TenantStatus[],
  { condition, state, name }: Partial<Choice>,
): TenantStatus[] {
  const key = name === undefined ? "" : nameKey(name)
  return tenants
    .filter(
      (tenant) =>
        (condition === undefined || tenant.condition === condition) &&
        (state === undefined || tenant.state === state) &&
        nameKey(tenant.name).includes(key),
    )
    .toSorted((a, b) => URGENCY[a.condition] - URGENCY[b.condition])
}

/** Those of one page. */
export const pageOf = <T>(chosen: readonly T[], { page, limit }: Pick<Choice, "page" | "limit">): T[] =>
  chosen.slice((page - 1) * limit, page * limit)

/** "42 s", "7 min", "5 h", "12 d" */
export function renderAge(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 120) return `${seconds} s`
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h`
  return `${Math.floor(seconds / 86_400)} d`
}

/** "0004", or "0004 < 0005" where a migration is pending; "0005 ≠ files" where one was applied from another file. */
function renderSchema(schema: string | undefined, state: string, version: string | undefined): string {
  if (schema === undefined) return "-"
  const [now = ""] = schema.split(/[: ]/)
  const isPending = version !== undefined && schema !== version && state !== "retired"
  if (!isPending) return now
  const newest = version.slice(0, 4)
  return now === newest ? `${now} ≠ files` : `${now} < ${newest}`
}

type Column = { title: string; of: (tenant: TenantStatus) => string }

const columns = (version: string | undefined, now: number, hasCells: boolean): Column[] => [
  { title: "NAME", of: ({ name }) => safe(name) },
  ...(hasCells ? [{ title: "CELL", of: ({ cell = "-" }: TenantStatus) => safe(cell) }] : []),
  { title: "CONDITION", of: ({ condition }) => condition },
  { title: "REASON", of: ({ reason }) => reason },
  { title: "STATE", of: ({ state }) => state },
  { title: "SCHEMA", of: ({ schema, state }) => renderSchema(schema, state, version) },
  { title: "AGE", of: ({ since }) => renderAge(now - since) },
]
/** What is left out where there is no room, in this order. */
const EXPENDABLE = ["CELL", "SCHEMA", "STATE", "REASON", "AGE"]
const GAP = 2
/** A name is cut down to this before a column is left out. */
const SHORTEST_NAME = 20

/** The table, the messages of those in it who are not Ready, what else is wrong, and a count. `now`: milliseconds since 1970. */
export function renderStatus(status: FleetStatus, choice: Choice, now: number, look: Look = PLAIN): string {
  const { paint } = look
  const chosen = choose(status.tenants, choice)
  const shown = pageOf(chosen, choice)
  const hasCells = status.tenants.some(({ cell }) => cell !== undefined)
  const troubles = shown
    .filter(({ condition }) => condition !== "Ready")
    .map(({ id, name, message, approve }) => `${safe(name)}: ${safe(message)}${remedy(id, approve)}`)
  return [
    ...renderTable(shown, columns(status.version, now, hasCells), look),
    ...troubles,
    ...status.problems.map((problem) => paint("red", safe(problem))),
    ...(status.lastError ? [paint("red", `last pass failed: ${safe(status.lastError)}`)] : []),
    renderCount(status.tenants, chosen, choice),
  ].join("\n")
}

function renderTable(rows: readonly TenantStatus[], all: readonly Column[], look: Look): string[] {
  const { paint, width } = look
  const widths = new Map(
    all.map(({ title, of }) => [title, Math.max(widthOf(title), ...rows.map((row) => widthOf(of(row))))]),
  )
  const taken = (kept: readonly Column[]) =>
    kept.reduce((sum, { title }) => sum + (title === "NAME" ? 0 : widths.get(title)! + GAP), 0)
  let kept = all
  const shortest = Math.min(SHORTEST_NAME, widths.get("NAME")!)
  for (const title of EXPENDABLE) {
    if (taken(kept) + shortest > width) kept = kept.filter((column) => column.title !== title)
  }
  widths.set("NAME", Math.max(4, Math.min(widths.get("NAME")!, width - taken(kept))))
  const line = (cell: (column: Column) => string, colour: (text: string, column: Column) => string) =>
    kept
      .map((column, index) => {
        const room = widths.get(column.title)!
        const text = fit(cell(column), room)
        return colour(index === kept.length - 1 ? text : pad(text, room), column)
      })
      .join(" ".repeat(GAP))
      .trimEnd()
  return [
    line(
      ({ title }) => title,
      (text) => paint("bold", text),
    ),
    ...rows.map((row) =>
      line(
        ({ of }) => of(row),
        (text, { title }) => (title === "CONDITION" ? paint(COLOUR[row.condition], text) : text),
      ),
    ),
  ]
}

function renderCount(
  all: readonly TenantStatus[],
  chosen: readonly TenantStatus[],
  { page, limit }: Choice,
): string {
  const count = (condition: Condition) => chosen.filter((tenant) => tenant.condition === condition).length
  const parts = (["Ready", "Reconciling", "Stalled"] as const).flatMap((condition) => {
    const those = count(condition)
    return those > 0 ? [`${those} ${condition}`] : []
  })
  const of = chosen.length === all.length ? "" : ` of ${all.length}`
  const line = `${chosen.length}${of} tenants${parts.length > 0 ? `: ${parts.join(", ")}` : ""}`
  const pages = Math.max(1, Math.ceil(chosen.length / limit))
  if (pages === 1 && page === 1) return line
  return `${line}; page ${page} of ${pages} (--page, --limit; --condition, --state and --name choose)`
}
