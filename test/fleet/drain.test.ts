/** What becomes of a tenant's sessions when its database is renamed or its credential is rotated. */
import { Client } from "pg"
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest"
import type { Command } from "../command.ts"
import { runHere } from "../command-line.ts"
import { eventually } from "../eventually.ts"
import { type Expected, faults } from "./faults.ts"
import { query } from "./systems.ts"
import { type FleetWorld, startFleet } from "./world.ts"

let world: FleetWorld
beforeAll(async () => {
  world = await startFleet({ steps: 2 })
})
afterAll(() => world.stop())

const tenant = { id: crypto.randomUUID() as string, name: "Alpha" }
beforeEach(async () => {
  await world.clear()
  await world.declare(tenant)
  await world.prepare()
  await world.plant(tenant.id)
})

type Change = {
  what: string
  /** What a person does, before a pass does the rest. */
  ask: () => Promise<unknown>
  after: Expected
  /** Whether sessions get in while the old ones are drained. */
  isOpen: boolean
}
const renamed = { ...tenant, name: "Beta" }
const CHANGES: Change[] = [
  {
    what: "rename",
    ask: () => world.declare(renamed),
    after: { ...renamed, state: "active" },
    isOpen: false,
  },
  {
    what: "rotation",
    ask: () => runHere(["rotate", tenant.id], world.environment()),
    after: { ...tenant, state: "active" },
    isOpen: true,
  },
]

const credential = async () => (await world.secrets.getSecret(`tenant-${tenant.id}`)).value!

async function openSession(uri: string) {
  const client = new Client({ connectionString: uri })
  client.on("error", () => {}) // the server ends it
  await client.connect()
  return { client, ended: new Promise<void>((resolve) => client.once("end", resolve)) }
}

const INSERT = "insert into products (name, price, description) values ($1, 1, 'planted')"

/** A session with a transaction that has written one row and goes on. */
async function openTransaction(uri: string, row: string) {
  const session = await openSession(uri)
  await session.client.query("begin")
  await session.client.query(INSERT, [row])
  return session
}

const startPass = (seconds: number): Command =>
  world.start(["apply"], { DRAIN_SECONDS: String(seconds), LOG_LEVEL: "info" })

describe.each(CHANGES)("a $what", ({ ask, after, isOpen }) => {
  it("ends idle sessions at once, and lets a running transaction commit", async () => {
    const old = await credential()
    const idle = await openSession(old)
    const busy = await openTransaction(old, `${tenant.id} row committed`)
    await ask()
    const pass = startPass(30)
    await idle.ended
    expect(pass.isRunning()).toBe(true)
    // Its login is closed; whoever holds the new credential of a rotation need not wait.
    await expect(query(old, "select")).rejects.toThrow("not permitted to log in")
    if (isOpen) await expect(query(await credential(), "select 1 as one")).resolves.toEqual([{ one: 1 }])

    await busy.client.query("commit")
    await busy.ended
    const { code, output } = await pass.ended
    expect(code, output).toBe(0)
    world.planted.get(tenant.id)!.push(`${tenant.id} row committed`)
    expect(await credential()).not.toBe(old)
    // This holds, too, that the new credential reads all rows and the old one opens nothing.
    expect(await faults(world, [after])).toEqual([])
  })

  it("cuts a transaction that takes too long, and nothing of it stays", async () => {
    const old = await credential()
    const busy = await openTransaction(old, `${tenant.id} row never committed`)
    await ask()
    const { code, output } = await startPass(1).ended
    expect(code, output).toBe(0)
    await busy.ended
    await expect(busy.client.query("commit")).rejects.toThrow()
    expect(await faults(world, [after])).toEqual([])
  })

  it("waits no longer than the sessions that it waits for", async () => {
    const old = await credential()
    const busy = await openTransaction(old, `${tenant.id} row rolled back`)
    await ask()
    const pass = startPass(600)
    await eventually("the login is closed", () =>
      expect(query(old, "select")).rejects.toThrow("not permitted"),
    )
    await busy.client.end()
    const { code, output } = await pass.ended
    expect(code, output).toBe(0)
    expect(await faults(world, [after])).toEqual([])
  })
})
