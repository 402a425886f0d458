/**
 * Each fault at each kind of call: whatever Neon, the vault or the network does, the world is in the end what the files
 * say, nobody else is touched meanwhile, and what needs a person says so. TENANTRY_FULL=1 runs every cell.
 */
import { randomUUID } from "node:crypto"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { reconcile } from "../../reconciler/reconcile.ts"
import { BYSTANDERS, settle, watch } from "./bystanders.ts"
import { changesOf } from "./changes.ts"
import { type Cell, nameOf, renderMatrix } from "./fault-cells.ts"
import { type Rig, runCell } from "./fault-run.ts"
import { faults } from "./faults.ts"
import { NEON_CELLS } from "./neon-cells.ts"
import { openPasses } from "./passes.ts"
import { VAULT_CELLS } from "./vault-cells.ts"
import { startFleet } from "./world.ts"

const isFull = process.env["TENANTRY_FULL"] === "1"
const ALL = [...NEON_CELLS, ...VAULT_CELLS]
const CHOSEN = ALL.filter(({ quick }) => isFull || quick)

const marks = new Map<Cell, string>()
let rig: Rig

beforeAll(async () => {
  // Few steps, so that many tenants are made quickly.
  const world = await startFleet({ steps: 1 })
  const passes = openPasses(world, { request: 1000, mutation: 3000 })
  await settle(world)
  rig = { world, passes, changes: changesOf(world, passes), watched: watch(world) }
})
afterAll(async () => {
  await rig.watched.stop()
  await rig.world.stop()
  const held = [...marks.values()].filter((mark) => mark === "ok").length
  process.stdout.write(`\nfault matrix: ${held} of ${marks.size} cells hold; ${ALL.length} in the full one\n`)
  process.stdout.write(`${renderMatrix(CHOSEN, marks)}\n`)
})

/** A cell that failed must not fail the next one. */
async function begunAnew({ world, passes, watched, changes }: Rig): Promise<Rig> {
  await watched.stop()
  await world.clear()
  changes.forget()
  await settle(world)
  return { world, passes, changes, watched: watch(world) }
}

describe.each([
  ["Neon", NEON_CELLS],
  ["Key Vault", VAULT_CELLS],
])("wherever %s fails, nobody is lost, and nobody else notices:", (_, cells) => {
  test.each(cells.filter((cell) => CHOSEN.includes(cell)).map((cell) => [nameOf(cell), cell] as const))(
    "%s",
    async (_name, cell) => {
      marks.set(cell, "NO")
      try {
        expect(await runCell(rig, cell)).toEqual([])
        marks.set(cell, "ok")
      } finally {
        if (marks.get(cell) !== "ok") rig = await begunAnew(rig)
      }
    },
    180_000,
  )
})

test("a list that lacks what was just made, and is not marked yet, leaves no orphan of it", async () => {
  rig = await begunAnew(rig)
  const { world, passes } = rig
  const id = randomUUID()
  await world.declare({ id, name: "Foundling" })
  const stop = new AbortController()
  await reconcile(passes.config.sources, passes.systems, {
    signal: stop.signal,
    planned: () => {},
    progress: (event) => {
      if (event.kind === "action" && event.action === "create") stop.abort()
    },
  })
  await world.remove(id)
  world.neon.faults.add({ kind: "stale-list", times: 2 })
  for (let passed = 0; passed < 4; passed++) await passes.pass()
  expect(world.neon.faults.list()).toEqual([])
  const retired = { id, name: "Foundling", state: "retired" } as const
  const found = await faults(world, [...BYSTANDERS, retired])
  expect(found).toEqual([`Foundling (retired): retired-${id} has no schema`])
})
