/** Runs one cell of the fault matrix: the change, the fault, passes until all is quiet, and the verdict on the world. */
import { setTimeout as sleep } from "node:timers/promises"
import { eventually } from "../eventually.ts"
import { BYSTANDERS, type watch } from "./bystanders.ts"
import type { changesOf } from "./changes.ts"
import type { Cell } from "./fault-cells.ts"
import { faults } from "./faults.ts"
import type { Passed, Passes } from "./passes.ts"
import type { FleetWorld } from "./world.ts"

/** What a cell needs: a world with bystanders who are watched, and a reconciler. */
export type Rig = {
  world: FleetWorld
  passes: Passes
  changes: ReturnType<typeof changesOf>
  watched: ReturnType<typeof watch>
}

/** Passes until there is nothing to do; a fault that needs more is one that holds the fleet up. */
const MAX_PASSES = 8

/** All that went wrong, in words; nothing, where the reconciler held its promises. */
export async function runCell(rig: Rig, cell: Cell): Promise<string[]> {
  const { world, passes, changes, watched } = rig
  const subject = await changes.begin(cell.change)
  await cell.before?.(world)
  world.neon.resetCalls()
  world.vault.resetCalls()
  const credentials = () => new Set(world.published().map(({ uri }) => uri)).size
  const before = credentials()
  const wrong = await watched.failures()
  await cell.arm(world, subject)
  const pass = cell.byProcess ? () => passByProcess(world) : () => passes.pass()

  if (cell.person) {
    wrong.push(...(await untilTold(pass, cell.person.reason)))
    wrong.push(...(await watched.failures()))
    await cell.person.mend(world, subject)
  }
  wrong.push(
    ...(await untilQuiet(
      pass,
      () => isSpent(world, cell),
      async () => watched.failures(),
    )),
  )
  const isMet = isSpent(world, cell)
  await untilArrived(world, cell)
  world.neon.faults.clear()
  world.vault.faults.clear()
  const excess = credentials() - before - (cell.publishes ?? Infinity)
  return [
    ...wrong,
    ...(isMet ? [] : ["no call met the fault"]),
    ...resends(world, cell),
    ...(excess > 0 ? [`${excess} credentials were published without need`] : []),
    ...((await cell.after?.(world)) ?? []),
    ...(await faults(world, [...BYSTANDERS, ...changes.residents()])),
    ...credentialsIn(world, passes.everything()),
  ]
}

async function untilTold(pass: () => Promise<Passed>, reason: RegExp): Promise<string[]> {
  let last = ""
  for (let passed = 0; passed < 3; passed++) {
    last = (await pass()).told
    if (reason.test(last)) return []
  }
  return [`said nothing like ${String(reason)}, but: ${last}`]
}

async function untilQuiet(
  pass: () => Promise<Passed>,
  isOver: () => boolean,
  look: () => Promise<string[]>,
): Promise<string[]> {
  const wrong: string[] = []
  const told: string[] = []
  for (let passed = 0; passed < MAX_PASSES; passed++) {
    const wasOver = isOver()
    const found = await pass()
    wrong.push(...(await look()))
    if (found.isQuiet && wasOver) return wrong
    told.push(found.told)
  }
  return [...wrong, `not quiet after ${MAX_PASSES} passes: ${told.slice(-2).join("\n")}`]
}

/** One pass of the real command line, in a process of its own. */
async function passByProcess(world: FleetWorld): Promise<Passed> {
  const { code, output } = await world.run(["apply"])
  return { isQuiet: code === 0 && output.includes("plan: 0 to change"), told: output }
}

/** Whether the fault struck as often as it was told to; one without an end at all, or has told its reason instead. */
function isSpent({ neon, vault }: FleetWorld, { person }: Cell): boolean {
  const left = vault.faults.list().filter(({ fault, hits }) => fault.kind !== "limits" || hits === 0)
  return person !== undefined || (neon.faults.list().length === 0 && left.length === 0)
}

/** Waits until Neon has done with the call that it was late with. */
async function untilArrived({ sql }: FleetWorld, { lateBy }: Cell): Promise<void> {
  if (lateBy === undefined) return
  // The fault is spent, so its time began before now: when it is over, the call has acted or was refused.
  await sleep(lateBy)
  await eventually("nothing is under way at Neon", async () => {
    const open = await sql(
      "neon_control",
      "select from operations where status not in ('finished', 'failed', 'cancelled', 'skipped')",
    )
    if (open.length > 0) throw new Error(`${open.length} operations`)
  })
}

/** Mutations that were sent again without a look at the world, by the stand-in's own log. */
function resends({ neon }: FleetWorld, { lost }: Cell): string[] {
  if (!lost) return []
  const calls = neon.calls()
  const sent = calls.flatMap(({ route }, index) => (route === lost.route ? [index] : []))
  if (lost.acted && sent.length !== 1) return [`${lost.route} was sent ${sent.length} times, though acted on`]
  return sent.slice(1).flatMap((index, nth) => {
    const between = calls.slice(sent[nth]! + 1, index)
    const isRead = between.some(
      ({ route, status }) => route === "listProjectBranchDatabases" && status === 200,
    )
    return isRead ? [] : [`${lost.route} was sent again without a look at the databases`]
  })
}

function credentialsIn(world: FleetWorld, text: string): string[] {
  const passwords = world.published().map(({ uri }) => new URL(uri).password)
  const told = [...world.keys, ...passwords].filter((secret) => text.includes(secret))
  return told.length > 0 ? [`${told.length} credentials were said`] : []
}
