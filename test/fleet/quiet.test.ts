/** What a pass costs in which there is nothing to do. */
import { afterAll, beforeAll, expect, it } from "vitest"
import { eventually } from "../eventually.ts"
import { type Gate, openGate } from "./gate.ts"
import { STRANGE_DATABASES, STRANGE_SECRETS } from "./strangers.ts"
import { type FleetWorld, startFleet } from "./world.ts"

const TENANTS = 30
/** With the other strangers': one more than two pages hold. */
const FOREIGN_SECRETS = 19
const PAGES = Math.ceil((TENANTS + FOREIGN_SECRETS + STRANGE_SECRETS.length) / 25)

let world: FleetWorld
let gate: Gate
beforeAll(async () => {
  world = await startFleet({ steps: 1 })
  for (let index = 0; index < TENANTS; index++) {
    await world.declare({ id: crypto.randomUUID(), name: `Tenant-${index}` })
  }
  for (let index = 0; index < FOREIGN_SECRETS; index++) {
    await world.secrets.setSecret(`foreign-${index}`, "not ours")
  }
  await world.prepare()
  gate = await openGate(world, "quiet")
}, 180_000)
afterAll(async () => {
  await gate.close()
  await world.stop()
})

const resetCalls = () => {
  world.neon.resetCalls()
  world.vault.resetCalls()
}

/** Calls by their route; what the client asks to be let in at all does not count. */
function countCalls(): Record<string, number> {
  const routes = [...world.neon.calls(), ...world.vault.calls()].map(({ route }) => route)
  const counted = routes.filter((route) => route !== "IdentityToken" && route !== "Unauthorized")
  return Object.fromEntries([...Map.groupBy(counted, String)].map(([route, all]) => [route, all.length]))
}

const countPasses = (output: string) => output.split('"msg":"pass done"').length - 1

it("while a foreign database has a name like ours, it is looked at once, and then never again", async () => {
  resetCalls()
  const before = gate.connections()
  const reconciler = world.start(["run"], { ...gate.environment, RECONCILE_INTERVAL: "2" })
  await eventually("two passes are over", () => {
    expect(countPasses(reconciler.output())).toBeGreaterThanOrEqual(2)
  })
  process.kill(reconciler.group, "SIGTERM")
  const { output } = await reconciler.ended
  const passes = countPasses(output)
  expect(countCalls()).toEqual({
    listProjectBranchDatabases: passes,
    getConnectionURI: 1,
    SecretList: passes * PAGES,
  })
  expect(gate.connections() - before).toBe(1)
})

it("a pass costs one call to Neon, one to the vault for 25 secrets of whomever, and nothing of Postgres", async () => {
  for (const name of STRANGE_DATABASES) await world.sql("postgres", `drop database "${name}"`)
  resetCalls()
  const before = gate.connections()
  const { code } = await world.run(["apply"], gate.environment)
  expect(code).toBe(0)
  expect(countCalls()).toEqual({ listProjectBranchDatabases: 1, SecretList: PAGES })
  expect(gate.connections()).toBe(before)
})

it("a new tenant costs one session, however much is done in its database", async () => {
  const cost = async (count: number) => {
    for (let index = 0; index < count; index++)
      await world.declare({ id: crypto.randomUUID(), name: `New-${count}-${index}` })
    const before = gate.connections()
    const { code, output } = await world.run(["apply"], gate.environment)
    expect(code, output).toBe(0)
    return gate.connections() - before
  }
  expect((await cost(3)) - (await cost(1))).toBe(2)
})

it("a pass with something to do is seen to cost more", async () => {
  await world.addMigration("0009_note.sql", "create table note (text text)")
  resetCalls()
  const before = gate.connections()
  await world.run(["apply"], gate.environment)
  expect(countCalls()["SecretUpdate"]).toBeGreaterThan(0)
  expect(gate.connections()).toBeGreaterThan(before)
})
