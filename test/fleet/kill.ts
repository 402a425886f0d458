/** One cell of the kill matrix: a change, a kill -9 at one of its writes, and what becomes of it. */
import type { Command } from "../command.ts"
import { faults } from "./faults.ts"
import { openGate, type Strike, type Write } from "./gate.ts"
import { type Scene, setScene } from "./kinds.ts"
import type { FleetWorld } from "./world.ts"

type Verdict = {
  /** The writes that reached a system until the end or the kill. */
  writes: readonly Write[]
  /** Whether the reconciler was killed. */
  wasKilled: boolean
  /** What is wrong with the world in the end; nothing, where all is well. */
  faults: string[]
}

type Blow = Strike extends infer S ? (S extends { act: unknown } ? Omit<S, "act"> : never) : never

/**
 * Makes one change by processes of the reconciler, killed at the blow; then a person repeats a command that was killed,
 * and passes run until the world is as declared, so many at most.
 */
export async function tryChange(
  world: FleetWorld,
  kind: string,
  blow?: Blow,
  maxPasses = 2,
): Promise<Verdict> {
  const scene = await setScene(world, kind)
  const gate = await openGate(world, kind)
  let command: Command | undefined
  const act = () => process.kill(command!.group, "SIGKILL")
  if (blow) gate.strike({ ...blow, act })
  let done = 0
  while (done < scene.commands.length && !gate.hasStruck()) {
    command = world.start(scene.commands[done]!, gate.environment)
    await command.ended
    if (!gate.hasStruck()) done++
  }
  const wasKilled = gate.hasStruck()
  await gate.close()
  await world.unconnected()
  const found =
    wasKilled && maxPasses > 0 ? await recover(world, scene, done, maxPasses) : await faultsOf(world, scene)
  return { writes: gate.writes, wasKilled, faults: found }
}

async function recover(world: FleetWorld, scene: Scene, done: number, maxPasses: number): Promise<string[]> {
  for (const words of scene.commands.slice(done).filter(([name]) => name !== "apply")) await world.run(words)
  let found: string[] = []
  for (let passes = 0; passes < maxPasses; passes++) {
    const { output } = await world.run(["apply"])
    found = await faultsOf(world, scene)
    if (found.length === 0) return []
    found.push(`the pass printed: ${output}`)
  }
  return found
}

const faultsOf = async (world: FleetWorld, { desired, more }: Scene): Promise<string[]> => [
  ...(await faults(world, desired)),
  ...((await more?.()) ?? []),
]
