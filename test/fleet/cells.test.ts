/** A fleet in two cells: two Neon projects, each on a Postgres of its own. */
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest"
import { eventually } from "../eventually.ts"
import { openPasses, type Passes } from "./passes.ts"
import { fingerprint } from "./strangers.ts"
import { query } from "./systems.ts"
import { type FleetWorld, startFleet } from "./world.ts"

const SECOND = "tenantry-local-2"
const LIST = "listProjectBranchDatabases"
const idOf = (n: number) => `${n}0000000-0000-4000-8000-00000000000${n}`
const [ada, bob, cleo, dan] = ["Ada", "Bob", "Cleo", "Dan"].map((name, n) => ({ id: idOf(n + 1), name }))
const [ADA, BOB, CLEO, DAN] = [ada!, { ...bob!, cell: SECOND }, cleo!, dan!]

let world: FleetWorld
let passes: Passes
let first: string
beforeAll(async () => {
  world = await startFleet({ cells: 2 })
  passes = openPasses(world)
  first = world.neon.projectId
  // Named as Ada's, and somebody else's.
  await inSecond("postgres", `create database "products-Ada" owner "${world.neon.owner}"`)
  await inSecond("products-Ada", "create table kept (text text)")
})
afterAll(() => world.stop())
beforeEach(() => world.neon.faults.clear())

const inSecond = <T extends object>(database: string, text: string) =>
  world.elsewhere.get(SECOND)!<T>(database, text)

/** The names of the tenants' databases, as cell/name. */
async function databases(): Promise<string[]> {
  const sql =
    "select datname as name from pg_database where shobj_description(oid, 'pg_database') ~ 'fleet=proof'"
  const lists = await Promise.all([
    world.sql<{ name: string }>("postgres", sql),
    inSecond<{ name: string }>("postgres", sql),
  ])
  return lists.flatMap((list, n) => list.map(({ name }) => `${n + 1}/${name}`)).toSorted()
}

/** Passes until one has nothing to do; returns what they said. */
async function settle(): Promise<string> {
  let said = ""
  for (let n = 0; n < 6; n++) {
    const { isQuiet, told } = await passes.pass()
    said += `${told}\n`
    if (isQuiet) return said
  }
  throw new Error(said)
}

/** The rows that the tenant's own credential shows. */
async function rows({ id }: { id: string }): Promise<string[]> {
  const { value } = await world.secrets.getSecret(`tenant-${id}`)
  const found = await query<{ name: string }>(
    value!,
    "select name from products where description = 'planted' order by id",
  )
  return found.map(({ name }) => name)
}
const tags = async ({ id }: { id: string }) =>
  (await world.secrets.getSecret(`tenant-${id}`)).properties.tags!

test("tenants are made where their files say or where there is room, and each one's credential opens its own", async () => {
  await world.declare({ ...ADA, cell: first })
  await world.declare(BOB)
  await world.declare(CLEO)
  await settle()
  expect(await databases()).toEqual(["1/products-Ada", "2/products-Bob", "2/products-Cleo"])
  for (const tenant of [ADA, BOB, CLEO]) {
    await world.plant(tenant.id)
    expect(await rows(tenant)).toEqual(world.planted.get(tenant.id))
  }
  expect(await tags(CLEO)).toMatchObject({ cell: SECOND, database: "products-Cleo" })
})

test("a name that a stranger has in one cell is free in the other, and taken in its own", async () => {
  await world.declare({ ...BOB, name: "Stranger" })
  await settle()
  expect(await databases()).toContain("2/products-Stranger")
  await world.declare({ ...ADA, name: "Bob" })
  await world.declare({ ...BOB, name: "Ada" })
  expect(await settle()).toContain("stalled: Ada: NameTaken: database products-Ada exists")
  expect(await databases()).toEqual(["1/products-Bob", "2/products-Cleo", "2/products-Stranger"])
  await world.declare(ADA)
  await world.declare(BOB)
  await settle()
  expect(await rows(ADA)).toEqual(world.planted.get(ADA.id))
  expect(await rows(BOB)).toEqual(world.planted.get(BOB.id))
})

test("a name is one in the fleet: two cells swap names, and a new tenant waits for whoever may not go", async () => {
  await world.declare({ ...ADA, name: "Bob" })
  await world.declare({ ...BOB, name: "Dora" })
  await settle()
  await world.declare({ ...ADA, name: "Dora" })
  await world.declare({ ...BOB, name: "Bob" })
  await settle()
  expect(await databases()).toEqual(["1/products-Dora", "2/products-Bob", "2/products-Cleo"])
  expect(await rows(ADA)).toEqual(world.planted.get(ADA.id))
  expect(await rows(BOB)).toEqual(world.planted.get(BOB.id))
  await world.declare(ADA)
  await world.declare({ ...CLEO, protected: true })
  await settle()
  await world.remove(CLEO.id)
  await world.declare({ ...DAN, name: "Cleo", cell: first })
  expect(await settle()).toContain(`stalled: Cleo: NameTaken: database ${SECOND}/products-Cleo exists`)
  expect(await rows(CLEO)).toEqual(world.planted.get(CLEO.id))
  await world.remove(DAN.id)
  await world.declare(CLEO)
  await settle()
})

test("one cell's list fails, or is cut short: the pass ends, and nobody is removed in either", async () => {
  const before = await databases()
  await world.remove(BOB.id)
  await world.remove(CLEO.id)
  world.neon.faults.add({ kind: "key-revoked", route: LIST, project: SECOND })
  expect((await passes.pass()).told).toMatch(/^pass failed: .*br-tenantry-local-2/)
  world.neon.faults.clear()
  world.neon.faults.add({ kind: "truncated-list", keep: 0, route: LIST, project: SECOND, times: 9 })
  expect((await passes.pass()).told).toContain(`ListIncomplete: Neon's list of ${SECOND} is empty`)
  world.neon.faults.clear()
  expect(await databases()).toEqual(before)
  expect(await rows(BOB)).toEqual(world.planted.get(BOB.id))
  await world.declare(CLEO)
})

test("a quiet pass costs one list for each cell; where one cell has work, the other is left asleep", async () => {
  await world.declare(BOB)
  await settle()
  const routes = async () => {
    world.neon.resetCalls()
    await passes.pass()
    return world.neon.calls().map(({ route }) => route)
  }
  expect(await routes()).toEqual([LIST, LIST])
  world.neon.faults.add({ kind: "key-revoked", route: "getConnectionURI", project: SECOND })
  await world.declare({ ...ADA, name: "Augusta" })
  await settle()
  expect(await databases()).toContain("1/products-Augusta")
  expect(world.neon.faults.list()).toHaveLength(1)
  world.neon.faults.clear()
  await world.declare(ADA)
  await settle()
})

test("retired and restored in its cell, with its rows", async () => {
  await world.remove(BOB.id)
  await settle()
  expect(await databases()).toContain(`2/retired-${BOB.id}`)
  await world.declare({ id: BOB.id, name: BOB.name })
  await settle()
  expect(await databases()).toContain("2/products-Bob")
  expect(await rows(BOB)).toEqual(world.planted.get(BOB.id))
})

test("a file that wants another cell, and a cell that is not configured, change nothing", async () => {
  const before = { databases: await databases(), bob: await tags(BOB) }
  await world.declare({ ...BOB, cell: first })
  expect((await passes.pass()).told).toContain("stalled: Bob: CellChange")
  await world.remove(BOB.id)
  const config = {
    ...passes.config,
    neon: { ...passes.config.neon, cells: passes.config.neon.cells.slice(0, 1) },
  }
  const alone = openPasses(world, undefined, config)
  const { told } = await alone.pass()
  expect(told).toContain("stalled: Bob: CellUnknown")
  expect(told).toContain("stalled: Cleo: CellUnknown")
  expect({ databases: await databases(), bob: await tags(BOB) }).toEqual(before)
  await world.declare(BOB)
  await settle()
})

test("a tag that names the wrong cell is put right by the marker, and the tenant is served", async () => {
  const { properties } = await world.secrets.getSecret(`tenant-${BOB.id}`)
  const wrong = { tags: { ...properties.tags, cell: first } }
  await world.secrets.updateSecretProperties(properties.name, properties.version!, wrong)
  await settle()
  expect(await tags(BOB)).toMatchObject({ cell: SECOND })
  expect(await rows(BOB)).toEqual(world.planted.get(BOB.id))
})

test("a kill -9 amid the making of a database in the second cell: the next pass finishes it there", async () => {
  const route = "createProjectBranchDatabase"
  world.neon.faults.add({ kind: "delay", delayMs: 60_000, acted: true, route, project: SECOND })
  await world.declare({ ...DAN, cell: SECOND })
  const command = world.start(["apply"])
  await eventually("the database is there", async () => {
    expect(await inSecond("postgres", "select from pg_database where datname = 'products-Dan'")).toHaveLength(
      1,
    )
  })
  process.kill(command.group, "SIGKILL")
  await command.ended
  world.neon.faults.clear()
  // Placement is written down, so the line may go.
  await world.declare(DAN)
  await eventually("the lease is free", async () => void (await settle()))
  expect(await databases()).toContain("2/products-Dan")
  expect(await rows(DAN)).toEqual([])
})

test("purged from its cell when its grace period is over, roles and all; strangers are as they were", async () => {
  await world.configure({ gracePeriodDays: 0 })
  await world.remove(BOB.id)
  await settle()
  expect(await databases()).toEqual(["1/products-Ada", "2/products-Cleo", "2/products-Dan"])
  expect(await inSecond("postgres", `select from pg_roles where rolname ~ '${BOB.id}'`)).toEqual([])
  expect(await inSecond("products-Ada", "select * from kept")).toEqual([])
  expect(await fingerprint(world)).toBe(world.strangers)
})

test("a database that two cells have is imported from the one that is meant", async () => {
  const legacy = `create database legacy owner "${world.neon.owner}"`
  await world.sql("postgres", legacy)
  await inSecond("postgres", legacy)
  const words = ["import", "legacy", "--id", idOf(9), "--name", "Legacy", "--yes"]
  const refused = await world.run(words)
  expect(refused.output).toContain(
    `legacy is an unmanaged database of more than one cell: say by --cell which is meant: ${first}, ${SECOND}`,
  )
  expect((await world.run([...words, "--cell", SECOND])).output).toContain("legacy is imported")
  await settle()
  expect(await databases()).toContain("2/products-Legacy")
  expect(await world.sql("postgres", "select from pg_database where datname = 'legacy'")).toHaveLength(1)
})
