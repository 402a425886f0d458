/**
 * A soak: people edit files, systems fail and reconcilers are killed, all at random, for a bounded number of steps. After
 * each step nothing may be lost, mixed up, touched or told; every few steps the world must come to be what the files say.
 *
 *     npm run soak -- --seed 7 --steps 300
 */
import { randomInt, randomUUID } from "node:crypto"
import { setTimeout as sleep } from "node:timers/promises"
import { parseArgs } from "node:util"
import type { Command } from "../command.ts"
import { eventually } from "../eventually.ts"
import { clientOf } from "../local/vault-client.ts"
import { faults } from "./faults.ts"
import { type Dice, throwDice } from "./soak-dice.ts"
import { createEdits, type Edits } from "./soak-edits.ts"
import { disturb } from "./soak-faults.ts"
import { offences } from "./soak-invariants.ts"
import { type FleetWorld, startFleet } from "./world.ts"

export type Soaked = {
  seed: number
  steps: number
  edits: number
  faults: number
  kills: number
  checks: number
}

const STEPS_BETWEEN_CHECKS = 5
/** A reconciler is killed at most so many milliseconds after an edit: before, while or after it acts on it. */
const LATEST_KILL = 900
/** How long an operation may be stuck at Neon; milliseconds. */
const PATIENCE = 3000

/** Throws at the first step after which something is wrong; its message has the seed and what was done last. */
export async function soak(
  seed: number,
  steps: number,
  print: (line: string) => void = () => {},
): Promise<Soaked> {
  const world = await startObserved()
  const dice = throwDice(seed)
  const edits = createEdits(world, dice)
  const done: Soaked = { seed, steps, edits: 0, faults: 0, kills: 0, checks: 0 }
  const history: string[] = []
  let reconciler = world.start(["run"])
  try {
    for (let step = 1; step <= steps; step++) {
      const said: string[] = []
      for (let n = Math.floor(dice.next() * 3); n > 0; n--, done.faults++) said.push(disturb(world, dice))
      for (let n = 1 + Math.floor(dice.next() * 2); n > 0; n--, done.edits++) said.push(await edits.edit())
      const heard = reconciler.output().length
      if (dice.oneIn(3)) {
        said.push("kill -9")
        done.kills++
        reconciler = await killed(world, reconciler, dice)
      } else if (dice.oneIn(8)) {
        said.push("deploy")
        reconciler = await deployed(world, reconciler)
      } else await passed(world, reconciler, heard)
      history.push(`step ${step}: ${said.join("; ")}`)
      print(history.at(-1)!)
      assertNone(await offences(world))
      if (step % STEPS_BETWEEN_CHECKS === 0 || step === steps) {
        await converged(world, edits)
        done.checks++
      }
    }
    return done
  } catch (error) {
    const last = [...history.slice(-8), reconciler.output().slice(-3000)].join("\n")
    throw new Error(`soak --seed ${seed} --steps ${steps}: ${(error as Error).message}\n${last}`, {
      cause: error,
    })
  } finally {
    await world.stop()
  }
}

/** A fleet that the test looks at as another client than the reconciler, which alone meets the faults. */
async function startObserved(): Promise<FleetWorld> {
  const looker = randomUUID()
  const fleet = await startFleet({ steps: 1, clients: { [looker]: "Key Vault Secrets Officer" } })
  const { url, caFile, identity } = fleet.vault
  const clients = { ...identity.clients, reconciler: looker }
  return { ...fleet, secrets: clientOf({ url, caFile, identity: { ...identity, clients } }) }
}

async function killed(world: FleetWorld, reconciler: Command, dice: Dice): Promise<Command> {
  await sleep(dice.next() * LATEST_KILL)
  process.kill(-reconciler.group, "SIGKILL")
  await reconciler.ended
  return world.start(["run"])
}

/** The new one starts before the old one is told to stop. */
async function deployed(world: FleetWorld, old: Command): Promise<Command> {
  const next = world.start(["run"])
  for (const reconciler of [old, next]) {
    await eventually("a reconciler watches", () => includes(reconciler, "reconciler is watching"))
  }
  process.kill(old.group, "SIGTERM")
  const { code } = await old.ended
  assertNone(code === 0 ? [] : [`a reconciler that was told to stop ended with ${code}`])
  return next
}

/** Waits for the end of a pass, well or ill; `heard`: how much of the output was there before. */
async function passed({ neon }: FleetWorld, reconciler: Command, heard: number): Promise<void> {
  const patience = performance.now() + PATIENCE
  await eventually("a pass has ended", () => {
    const news = reconciler.output().slice(heard)
    if (/"pass (?:done|failed)"|"another reconciler holds/.test(news)) return
    // Somebody at Neon sees to the operation that is stuck.
    if (performance.now() > patience) neon.faults.clear()
    throw new Error(news)
  })
}

/** With every file whole and every fault over, the world becomes what the files say, and rows are added to it. */
async function converged(world: FleetWorld, edits: Edits): Promise<void> {
  await edits.mendAll()
  world.neon.faults.clear()
  world.vault.faults.clear()
  await eventually("the world is as declared", async () => assertNone(await faults(world, edits.expected())))
  edits.settle()
  for (const { id, state } of edits.expected()) if (state === "active") await world.plant(id, 1)
}

function includes(command: Command, text: string): void {
  if (!command.output().includes(text)) throw new Error(command.output())
}

function assertNone(wrong: readonly string[]): void {
  if (wrong.length > 0) throw new Error(wrong.join("\n"))
}

export const renderSoaked = ({ seed, steps, edits, faults: met, kills, checks }: Soaked): string =>
  `soak: seed ${seed}, ${steps} steps with ${edits} edits, ${met} faults and ${kills} kills; ${checks} times all was as declared`

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      seed: { type: "string", default: String(randomInt(1_000_000)) },
      steps: { type: "string", default: "200" },
    },
  })
  const [seed, steps] = [Number(values.seed), Number(values.steps)]
  if (!Number.isSafeInteger(seed) || !Number.isSafeInteger(steps) || steps < 1) {
    process.stderr.write("soak: --seed and --steps must be whole numbers, and steps at least 1\n")
    process.exit(1)
  }
  process.stdout.write(`soak: seed ${seed}\n`)
  const done = await soak(seed, steps, (line) => process.stdout.write(`${line}\n`))
  process.stdout.write(`${renderSoaked(done)}\n`)
}
