/** Plans and outcomes as lines for people. */
import type { Change, ChangeKind } from "./action.ts"
import type { Outcome } from "./apply.ts"
import { placeNamer } from "./cells.ts"
import type { Plan } from "./policy.ts"
import type { Review } from "./reconcile.ts"
import { type Colour, type Look, PLAIN, safe } from "./terminal.ts"
import { formatProblem } from "./yaml-file.ts"

type Sign = "+" | "~" | "-"

const SIGN: Record<ChangeKind, Sign> = {
  create: "+",
  restore: "+",
  rename: "~",
  migrate: "~",
  update: "~",
  repair: "~",
  rotate: "~",
  suspend: "~",
  resume: "~",
  retire: "-",
  purge: "-",
}

const COLOUR: Record<Sign, Colour> = { "+": "green", "~": "yellow", "-": "red" }

/** Whether the change takes a tenant away. */
export const isRemoval = ({ kind }: { kind: ChangeKind }): boolean => SIGN[kind] === "-"

/** Removals first, each group in the order that it had. */
const removalsFirst = <C extends { kind: ChangeKind }>(changes: readonly C[]): C[] =>
  changes.toSorted((a, b) => Number(isRemoval(b)) - Number(isRemoval(a)))

/** The command that would allow what waits for a person. */
/** The command that allows what is withheld, behind the message that says why. */
export const remedy = (tenant: string, verb: string | undefined): string =>
  verb ? `; to allow it once: npx tenantry approve ${tenant} ${verb}` : ""

export const isWaiting = ({ isStalled }: Plan["withheld"][number]): boolean => isStalled === false

/** How many names of what is not ours are shown. */
const STRANGERS = 20

function strangers(what: string, names: readonly string[]): string[] {
  if (names.length === 0) return []
  const more = names.length > STRANGERS ? ` and ${names.length - STRANGERS} more` : ""
  return [`unmanaged ${what}, never touched: ${names.slice(0, STRANGERS).map(safe).join(", ")}${more}`]
}

type Reviewed = Pick<Review, "read" | "migrations" | "cells" | "plan">

/** What is wrong with files, one line each. */
export const faultsOf = ({ read, migrations }: Pick<Review, "read" | "migrations">): string[] => [
  ...read.problems.map(formatProblem),
  ...(migrations.fault?.message.split("\n") ?? []),
]

/** "2 to change (1 to remove), 1 withheld, …" */
export function countPlan(review: Reviewed): string {
  const { plan } = review
  const removals = plan.changes.filter(isRemoval).length
  const waiting = plan.withheld.filter(isWaiting).length
  return [
    `${plan.changes.length} to change${removals > 0 ? ` (${removals} to remove)` : ""}`,
    ...(waiting > 0 ? [`${waiting} to follow`] : []),
    `${plan.withheld.length - waiting} withheld`,
    `${plan.stalls.length} stalled`,
    `${faultsOf(review).length} faults in files`,
  ].join(", ")
}

/** One line per change, removals first, then what waits for a person or for its turn and why, and a count. */
export function renderPlan(review: Reviewed, look: Look = PLAIN, word: "plan" | "drift" = "plan"): string {
  const { cells, plan } = review
  const { paint } = look
  const describe = ({ kind, name, cell, actions }: Change) =>
    paint(
      COLOUR[SIGN[kind]],
      `${SIGN[kind]} ${kind} ${safe(name)}${cells.length > 1 ? ` in ${cell}` : ""} (${actions.map((action) => action.kind).join(" > ")})`,
    )
  const attention = (text: string) => paint("yellow", `! ${safe(text)}`)
  const turns = Map.groupBy(
    plan.withheld.filter(isWaiting),
    ({ change, reason, message }) => `${change.kind}: ${reason}: ${message}`,
  )
  return [
    ...faultsOf(review).map((fault) => paint("red", `! ${safe(fault)}`)),
    ...removalsFirst(plan.changes).map(describe),
    ...plan.withheld
      .filter((withheld) => !isWaiting(withheld))
      .map(({ change, reason, message, approve }) =>
        attention(
          `withheld: ${change.kind} ${change.name}: ${reason}: ${message}${remedy(change.tenant, approve)}`,
        ),
      ),
    ...plan.stalls.map(({ tenant, name, reason, message, approve }) =>
      attention(`stalled: ${name}: ${reason}: ${message}${remedy(tenant, approve)}`),
    ),
    ...[...turns].map(([why, those]) => paint("dim", `… ${those.length} to follow: ${safe(why)}`)),
    ...strangers("databases", plan.unmanaged.databases.map(placeNamer(cells))),
    ...strangers("secrets", plan.unmanaged.secrets),
    paint("bold", `${word}: ${countPlan(review)}`),
  ].join("\n")
}

export const renderOutcome = ({ change, ms, error }: Outcome, { paint }: Look = PLAIN): string =>
  error
    ? paint("red", `✗ ${change.kind} ${safe(change.name)}: ${error.reason}: ${safe(error.message)}`)
    : paint("green", `✓ ${change.kind} ${safe(change.name)} in ${(ms / 1000).toFixed(1)} s`)
