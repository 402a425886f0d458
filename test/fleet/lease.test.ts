/** Two reconcilers of one fleet: who applies, who waits, and who goes on where the other ended. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest"
import type { Command } from "../command.ts"
import { eventually } from "../eventually.ts"
import { type Expected, faults } from "./faults.ts"
import { type Gate, openGate, type Tenure, type Write } from "./gate.ts"
import { type FleetWorld, startFleet } from "./world.ts"

let world: FleetWorld
beforeAll(async () => {
  world = await startFleet({ steps: 1 })
})
afterAll(() => world.stop())

let writes: Write[]
let tenures: Tenure[]
const open: { gate: Gate; reconciler: Command }[] = []
beforeEach(async () => {
  await world.clear()
  writes = []
  tenures = []
})
afterEach(async () => {
  for (const { gate, reconciler } of open.splice(0)) {
    if (reconciler.isRunning()) process.kill(reconciler.group, "SIGKILL")
    await reconciler.ended
    await gate.close()
  }
})

/** Starts a reconciler with a gate of its own, which writes into the lists of all. */
async function startReconciler(by: string, isLeaseForged = false): Promise<Command> {
  const gate = await openGate(world, by, { writes, tenures, isLeaseForged })
  const reconciler = world.start(["run"], gate.environment)
  open.push({ gate, reconciler })
  await eventually(`${by} has made a pass`, () => expect(reconciler.output()).toContain('"pass done"'))
  return reconciler
}

const declare = async (...names: string[]): Promise<Expected[]> => {
  const tenants = names.map((name) => ({ id: crypto.randomUUID() as string, name }))
  for (const tenant of tenants) await world.declare(tenant)
  return tenants.map((tenant) => ({ ...tenant, state: "active" }))
}

const untilAsDeclared = (desired: readonly Expected[]) =>
  eventually("the world is as declared", async () => expect(await faults(world, desired)).toEqual([]), 200)

/** Writes that one sent while another held the lease. */
const trespasses = () =>
  writes.filter(({ by, begun }) =>
    tenures.some((tenure) => tenure.by !== by && tenure.begun < begun && begun < (tenure.ended ?? Infinity)),
  )

/** Writes that one sent without holding the lease. */
const unlicensed = () =>
  writes.filter(
    ({ by, begun }) =>
      !tenures.some(
        (tenure) => tenure.by === by && tenure.begun < begun && begun < (tenure.ended ?? Infinity),
      ),
  )

/** Makes a change of Neon that does not end, so that whoever sends it is in mid-apply. */
function holdUp(): void {
  world.neon.faults.add({ kind: "operation-stuck", route: "createProjectBranchDatabase" })
}
const untilHeldUp = (by: string) =>
  eventually(`${by} waits for Neon`, () => {
    const sent = writes.find((write) => write.by === by && write.what.startsWith("POST"))
    expect(sent?.ended).toBeDefined()
  })

/** Several rounds of changes, which both see at the same moment. */
async function makeRounds(): Promise<void> {
  const desired: Expected[] = []
  for (let round = 0; round < 3; round++) {
    desired.push(...(await declare(`First-${round}`, `Second-${round}`)))
    desired[0] = { ...desired[0]!, name: `Renamed-${round}` }
    await world.declare({ id: desired[0].id, name: desired[0].name })
    // Long enough for the other one to come, too.
    world.neon.faults.add({ kind: "delay", route: "mutations", delayMs: 500, acted: true })
    await untilAsDeclared(desired)
  }
}

describe("two reconcilers on one fleet", () => {
  it("never apply at the same time", async () => {
    const [one, two] = await Promise.all([startReconciler("one"), startReconciler("two")])
    await makeRounds()
    expect(one.output() + two.output()).toContain("another reconciler holds the lease")
    expect(tenures.length).toBeGreaterThanOrEqual(3)
    expect(trespasses()).toEqual([])
    expect(unlicensed()).toEqual([])
  })

  it("would, if the lease were given to both", async () => {
    await Promise.all([startReconciler("one", true), startReconciler("two", true)])
    // Neon makes one database at a time, so while it is held up both have something left to ask for.
    holdUp()
    await declare("Alpha", "Beta", "Gamma")
    await eventually("one writes while the other is at it", () => expect(trespasses()).not.toEqual([]))
    // Both are ended before Neon goes on: what one asks for in its last moment would be the next test's.
  })

  it("the second takes over within 15 s when the first is killed while it applies", async () => {
    const first = await startReconciler("first")
    holdUp()
    const desired = await declare("Alpha", "Beta", "Gamma")
    await untilHeldUp("first")
    const second = await startWaiting("second")
    expect(writes.filter(({ by }) => by === "second")).toEqual([])

    process.kill(first.group, "SIGKILL")
    const killed = performance.now()
    world.neon.faults.clear()
    await untilAsDeclared(desired)
    const taken = tenures.find(({ by }) => by === "second")!.begun
    expect(taken - killed).toBeLessThan(15_000)
    expect(writes.filter(({ by }) => by === "second").length).toBeGreaterThan(0)
    expect(trespasses()).toEqual([])
    expect(second.isRunning()).toBe(true)
  })

  it("who loses the lease while it applies sends nothing more", async () => {
    const first = await startReconciler("first")
    world.neon.faults.add({ kind: "delay", route: "mutations", delayMs: 400, acted: true, times: 3 })
    const desired = await declare("Alpha", "Beta", "Gamma", "Delta", "Epsilon", "Zeta")
    await eventually("a database is being made", () => {
      expect(writes.some(({ what }) => what.startsWith("POST"))).toBe(true)
    })
    await world.sql(
      "postgres",
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'tenantry-lease'",
    )
    await untilAsDeclared(desired)
    expect(first.isRunning()).toBe(true)
    expect(tenures.length).toBeGreaterThan(1)
    // What was on its way when the session ended.
    expect(unlicensed().length).toBeLessThanOrEqual(2)
  })

  it("take no lease while there is nothing to do", async () => {
    await declare("Alpha")
    await world.prepare()
    const [one, two] = await Promise.all([startReconciler("one"), startReconciler("two")])
    await eventually("each has made three passes", () => {
      for (const { output } of [one, two]) expect(output().split('"pass done"').length).toBeGreaterThan(3)
    })
    expect(tenures).toEqual([])
    expect(writes).toEqual([])
  })
})

/** Starts one that finds the lease taken. */
async function startWaiting(by: string): Promise<Command> {
  const gate = await openGate(world, by, { writes, tenures })
  const reconciler = world.start(["run"], gate.environment)
  open.push({ gate, reconciler })
  await eventually(`${by} finds the lease taken`, () => {
    expect(reconciler.output()).toContain("another reconciler holds the lease")
  })
  return reconciler
}

describe("SIGTERM while changes are applied", () => {
  it.each([
    { how: "finishes the action under way", release: true },
    { how: "abandons an action that does not end", release: false },
  ])("$how, ends within 10 s with exit code 0, and the next one goes on", async ({ release }) => {
    const first = await startReconciler("first")
    holdUp()
    const desired = await declare("Alpha", "Beta")
    await untilHeldUp("first")
    process.kill(first.group, "SIGTERM")
    const told = performance.now()
    if (release) world.neon.faults.clear()
    const { code, signal } = await first.ended
    expect(performance.now() - told).toBeLessThan(10_000)
    expect({ code, signal }).toEqual({ code: 0, signal: null })
    world.neon.faults.clear()

    await eventually("nobody holds the lease", async () => {
      const locks =
        "select pid from pg_locks join pg_stat_activity using (pid) where locktype = 'advisory' and application_name = 'tenantry-lease'"
      expect(await world.sql("postgres", locks)).toEqual([])
    })
    await startReconciler("next")
    await untilAsDeclared(desired)
    expect(trespasses()).toEqual([])
  })
})
