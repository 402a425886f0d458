/** What a person types, and what comes of it. */
import { readFile } from "node:fs/promises"
import path from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { type FleetWorld, startFleet } from "./world.ts"

const ADA = "aaaaaaaa-0000-4000-8000-000000000001"
const BOB = "bbbbbbbb-0000-4000-8000-000000000002"

let world: FleetWorld
beforeAll(async () => {
  world = await startFleet({ steps: 1 })
  await world.declare({ id: ADA, name: "Ada" })
  await world.prepare()
})
afterAll(() => world.stop())

const saved = () => path.join(world.folder, "plan.json")

describe("plan", () => {
  test("ends with 0 where nothing is to be done, 2 where something is, and 3 where something is blocked", async () => {
    expect((await world.run(["plan", "--detailed-exitcode"])).code).toBe(0)
    await world.declare({ id: BOB, name: "Bob" })
    expect((await world.run(["plan", "--detailed-exitcode"])).code).toBe(2)
    expect((await world.run(["plan"])).code).toBe(0)
    await world.configure({ deletion: "forbid" })
    await world.remove(ADA)
    const blocked = await world.run(["plan", "--detailed-exitcode"])
    expect(blocked.output).toContain("! withheld: retire Ada: DeletionForbidden")
    expect(blocked.code).toBe(3)
    await world.configure()
    await world.declare({ id: ADA, name: "Ada" })
  })

  test("as JSON says what would be done, and from what it follows", async () => {
    const { output } = await world.run(["plan", "--json"])
    expect(JSON.parse(output)).toMatchObject({
      version: 1,
      changes: [
        { tenant: BOB, name: "Bob", kind: "create", actions: expect.arrayContaining(["reserve", "publish"]) },
      ],
      basis: { "fleet.yaml": expect.any(String), "database products-Ada": expect.any(String) },
    })
  })
})

describe("apply of a saved plan", () => {
  test("is refused when a file changed since, and changes nothing", async () => {
    await world.run(["plan", "--out", saved()])
    await world.declare({ id: BOB, name: "Bobby" })
    const refused = await world.run(["apply", saved()])
    expect(refused).toMatchObject({
      code: 1,
      output: expect.stringMatching(/^the plan is out of date.*\.yaml; make a new one/),
    })
    expect((await world.run(["plan", "--json"])).output).toContain('"name": "Bobby"')
  })

  test("is refused when the world changed since", async () => {
    await world.run(["plan", "--out", saved()])
    await world.secrets.setSecret("another", "somebody's")
    const refused = await world.run(["apply", saved()])
    expect(refused).toMatchObject({
      code: 1,
      output: expect.stringContaining("changed since: secret another;"),
    })
  })

  test("is done when nothing changed", async () => {
    await world.run(["plan", "--out", saved()])
    expect((await world.run(["apply", saved()])).output).toContain("✓ create Bobby")
    expect((await world.run(["plan", "--detailed-exitcode"])).code).toBe(0)
  })

  test("of a file that is no plan says how to make one", async () => {
    const refused = await world.run(["apply", world.fleetFile])
    expect(refused).toMatchObject({
      code: 1,
      output: expect.stringContaining("make it with: tenantry plan --out"),
    })
  })
})

describe("files", () => {
  test("new writes one with a fresh id, once", async () => {
    expect((await world.run(["new", "Cleo", "--seed", "demo"])).code).toBe(0)
    const text = await readFile(path.join(world.tenantsDir, "cleo.yaml"), "utf8")
    expect(text).toMatch(/^# yaml-language-server: .*\nid: [0-9a-f-]{36}\nname: Cleo\nseed: demo\n$/)
    expect(await world.run(["new", "CLEO"])).toMatchObject({
      code: 1,
      output: expect.stringContaining("cleo.yaml declares a tenant named Cleo already"),
    })
  })

  test("rename changes the name and nothing else", async () => {
    const file = path.join(world.tenantsDir, "cleo.yaml")
    const before = await readFile(file, "utf8")
    expect((await world.run(["rename", "Cleo", "Cleopatra"])).code).toBe(0)
    expect(await readFile(file, "utf8")).toBe(before.replace("name: Cleo\n", "name: Cleopatra\n"))
  })
})

test.for<[words: string[], message: RegExp]>([
  [["new", "no spaces"], /^that is no tenant's name: must be letters and digits/],
  [["rename", "Nobody", "Else"], /^no file in .* declares a tenant named Nobody\n$/],
  [["rename", "Ada", "Bobby"], /declares a tenant named Bobby already\n$/],
  [["approve", "Nobody", "retire"], /^the ledger has no tenant named Nobody: give the id/],
  [["approve", "Ada", "destroy"], /^the change must be one of retire, purge, recreate: /],
  [["approve", "Ada", "retire", "--minutes", "0"], /^--minutes must be 1 to 1440: /],
  [["import", "products-Ada", "--id", ADA, "--name", "Ada"], /^products-Ada is no unmanaged database/],
  [["import", "x", "--id", "12", "--name", "Ada"], /^--id must be a UUID: /],
  [["schema", "world"], /^there are the schemas tenant and fleet: /],
  [["rotate", "Nobody"], /^the ledger has no tenant named Nobody/],
])("%j is one line that says what is wrong", async ([words, message]) => {
  const { code, output } = await world.run(words)
  expect(output).toMatch(message)
  expect(output.trim().split("\n")).toHaveLength(1)
  expect(code).toBe(1)
})
