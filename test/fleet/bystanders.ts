/** Tenants that no change concerns: they are served all the time, whatever befalls the others. */
import { setTimeout as sleep } from "node:timers/promises"
import type { Expected } from "./faults.ts"
import { query } from "./systems.ts"
import type { FleetWorld } from "./world.ts"

const ADA = { id: "a0a0a0a0-0000-4000-8000-000000000001", name: "Ada" }
const BOB = { id: "b0b0b0b0-0000-4000-8000-000000000002", name: "Bob" }
const CLARA = { id: "c0c0c0c0-0000-4000-8000-000000000003", name: "Clara" }
const DORA = { id: "d0d0d0d0-0000-4000-8000-000000000004", name: "Dora" }

/** Two are served, one is suspended and one is retired. */
export const BYSTANDERS: readonly Expected[] = [
  { ...ADA, state: "active" },
  { ...BOB, state: "active" },
  { ...CLARA, state: "suspended" },
  { ...DORA, state: "retired" },
]

/** Milliseconds between two looks at each; a look that fails is remembered, so none is missed by being rare. */
const BEAT = 100

/** Puts them into an empty world, with rows. */
export async function settle(world: FleetWorld): Promise<void> {
  for (const { id, name } of BYSTANDERS) await world.declare({ id, name })
  await world.prepare()
  for (const { id } of BYSTANDERS) await world.plant(id)
  await world.declare({ ...CLARA, suspended: true })
  await world.remove(DORA.id)
  await world.prepare()
}

/**
 * Reads the rows of those that are served, over and over, with the credential that they have now. `failures` tells what
 * went wrong since the last call, also when a credential of theirs was replaced.
 */
export function watch(world: FleetWorld) {
  const served = [ADA, BOB].map(({ id }) => ({ id, uri: newest(world, id) }))
  const versions = () =>
    world.published().filter(({ secret }) => BYSTANDERS.some(({ id }) => secret === `tenant-${id}`)).length
  const before = versions()
  let seen: string[] = []
  const over = new AbortController()

  const look = async ({ id, uri }: { id: string; uri: string }): Promise<void> => {
    try {
      const rows = await query<{ name: string }>(
        uri,
        "select name from products where description = 'planted'",
      )
      const names = rows.map(({ name }) => name).toSorted()
      if (JSON.stringify(names) !== JSON.stringify(world.planted.get(id)?.toSorted())) {
        seen.push(`${id} reads ${names.join(", ")}`)
      }
    } catch (error) {
      seen.push(`${id} is not served: ${(error as Error).message}`)
    }
  }
  const beating = (async () => {
    while (!over.signal.aborted) {
      await Promise.all(served.map(look))
      await sleep(BEAT)
    }
  })()

  return {
    failures: async (): Promise<string[]> => {
      await Promise.all(served.map(look))
      const told = versions() === before ? seen : [...seen, "a bystander got a new credential"]
      seen = []
      return told
    },
    stop: async () => {
      over.abort()
      await beating
    },
  }
}

function newest(world: FleetWorld, id: string): string {
  const uri = world.published().findLast(({ secret }) => secret === `tenant-${id}`)?.uri
  if (!uri) throw new Error(`nothing was ever published for ${id}`)
  return uri
}
