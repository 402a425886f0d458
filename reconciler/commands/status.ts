/** tenantry status: the fleet as the running reconciler sees it. */
import { setTimeout as sleep } from "node:timers/promises"
import type { Command } from "commander"
import { createLogUpdate } from "log-update"
import type { FleetStatus } from "../controller.ts"
import { TransientError } from "../errors.ts"
import { redact } from "../log.ts"
import { choose, type Choice, pageOf, renderStatus } from "../render-status.ts"
import { environmentToken } from "../status-access.ts"
import { lookOf } from "../terminal.ts"
import { examples, onSignal, parseChoice, parseNumber, print } from "./shared.ts"

type Options = {
  json: boolean
  watch: boolean
  condition?: string
  state?: string
  name?: string
  page: string
  limit?: string
}

const CONDITIONS = ["Ready", "Reconciling", "Stalled"] as const
const STATES = ["absent", "reserved", "active", "suspended", "retired", "purging"] as const
/** Tenants per page where nothing is said. */
const PAGE = 100
/** Milliseconds between two looks, and how long one may take. */
const BEAT = 1000
const TIMEOUT = 10_000

export function registerStatus(program: Command): void {
  program
    .command("status")
    .description("show every tenant as the running reconciler sees it: first those that need a person")
    .option("--json", "as JSON, see docs/cli.md for its shape", false)
    .option("--watch", "go on until Ctrl-C", false)
    .option("--condition <condition>", `only these: ${CONDITIONS.join(", ")}`)
    .option("--state <state>", `only these: ${STATES.join(", ")}`)
    .option("--name <text>", "only those with this in their name")
    .option("--page <number>", "which page", "1")
    .option("--limit <number>", `tenants per page; ${PAGE}, and with --json all`)
    .addHelpText(
      "after",
      examples("status", "status --condition Stalled", "status --watch --name north", "status --json"),
    )
    .action(status)
}

async function status(options: Options): Promise<void> {
  const choice = choiceOf(options)
  if (options.watch) return watch(choice, options.json)
  const fleet = await ask(AbortSignal.timeout(TIMEOUT))
  print(
    options.json ? asJson(fleet, choice) : renderStatus(fleet, choice, Date.now(), lookOf(process.stdout)),
  )
}

function choiceOf({ name, condition, state, page, limit, json }: Options): Choice {
  const all = json ? Infinity : PAGE
  return {
    name,
    condition: condition === undefined ? undefined : parseChoice("--condition", condition, CONDITIONS),
    state: state === undefined ? undefined : parseChoice("--state", state, STATES),
    page: parseNumber("--page", page, { min: 1 }),
    limit: limit === undefined ? all : parseNumber("--limit", limit, { min: 1 }),
  }
}

/** One line for machines, whole for people: every change of the fleet. */
function asJson(fleet: FleetStatus, choice: Choice, indent: number | undefined = 2): string {
  const tenants = pageOf(choose(fleet.tenants, choice), choice)
  return JSON.stringify({ ...fleet, tenants }, undefined, indent)
}

/** Draws on a terminal in place; elsewhere it writes when something changed, as JSON one line each time. */
async function watch(choice: Choice, isJson: boolean): Promise<void> {
  const stop = onSignal()
  const draw = process.stdout.isTTY && !isJson ? createLogUpdate(process.stdout) : undefined
  let last = ""
  while (!stop.aborted) {
    const text = await frame(choice, isJson, stop)
    const news = isJson || draw ? text : text.replaceAll(/\d+ (?:s|min|h|d)$/gm, "")
    if (stop.aborted) break
    if (draw) draw(redact(text))
    else if (news !== last) print(text)
    last = news
    await sleep(BEAT, undefined, { signal: stop }).catch(() => {})
  }
  draw?.done()
}

async function frame(choice: Choice, isJson: boolean, stop: AbortSignal): Promise<string> {
  try {
    const fleet = await ask(AbortSignal.any([stop, AbortSignal.timeout(TIMEOUT)]))
    if (isJson) return asJson(fleet, choice, 0)
    const look = lookOf(process.stdout)
    // The heading, the count and a line to spare stay on the screen too.
    const rows = process.stdout.rows ? Math.max(1, process.stdout.rows - 4) : choice.limit
    return renderStatus(fleet, { ...choice, limit: Math.min(choice.limit, rows) }, Date.now(), look)
  } catch (error) {
    if (!(error instanceof TransientError)) throw error
    return isJson ? JSON.stringify({ error: error.message }) : error.message
  }
}

async function ask(signal: AbortSignal): Promise<FleetStatus> {
  const port = process.env["STATUS_PORT"] ?? "3001"
  const key = process.env["NEON_API_KEY"]
  const headers: Record<string, string> = key ? { authorization: `Bearer ${environmentToken(key)}` } : {}
  const response = await fetch(`http://127.0.0.1:${port}/status.json`, { headers, signal }).catch(() => {
    throw new TransientError(
      "NoReconciler",
      `no reconciler answers on port ${port}: start one with "npm start"`,
    )
  })
  if (!response.ok) {
    const { error } = (await response.json()) as { error: string }
    throw new TransientError(
      "StatusRefused",
      `the reconciler on port ${port} shows nothing (${error}): run this with the reconciler's environment`,
    )
  }
  return (await response.json()) as FleetStatus
}
