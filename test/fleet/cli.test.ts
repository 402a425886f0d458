/** What a person types, and what comes of it. */
import { existsSync } from "node:fs"
import { readFile, rm, writeFile } from "node:fs/promises"
import path from "node:path"
import { Ajv2020 } from "ajv/dist/2020.js"
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest"
import { readConfig } from "../../reconciler/config.ts"
import { renderJsonSchema } from "../../reconciler/json-schema.ts"
import { acquireLease } from "../../reconciler/providers/lease.ts"
import { openWorld, ownerUris } from "../../reconciler/world.ts"
import { runHere } from "../command-line.ts"
import { eventually } from "../eventually.ts"
import { type FleetWorld, startFleet } from "./world.ts"

const ADA = "aaaaaaaa-0000-4000-8000-000000000001"
const BOB = "bbbbbbbb-0000-4000-8000-000000000002"
const DAN = "dddddddd-0000-4000-8000-000000000004"

let world: FleetWorld
beforeAll(async () => {
  world = await startFleet({ steps: 1 })
  await world.declare({ id: ADA, name: "Ada" })
  await world.prepare()
})
afterAll(() => world.stop())

/** A command in this process: most of what a short one takes is the start of Node. */
const run = (words: readonly string[], variables: Record<string, string> = {}) =>
  runHere(words, { ...world.environment(), ...variables })
const saved = () => path.join(world.folder, "plan.json")
const databases = async () => {
  const rows = await world.sql("postgres", "select datname from pg_database")
  return rows.map((row) => (row as { datname: string }).datname)
}
const stateOf = async (id: string) => (await tagsOf(id))?.["state"]
const tagsOf = async (id: string) => {
  for await (const { name, tags } of world.secrets.listPropertiesOfSecrets())
    if (name === `tenant-${id}`) return tags
  return undefined
}

describe("plan", () => {
  test("ends with 0 where nothing is to be done, 2 where something is, and 3 where something is blocked", async () => {
    expect((await world.run(["plan", "--detailed-exitcode"])).code).toBe(0)
    await world.declare({ id: BOB, name: "Bob" })
    expect((await run(["plan", "--detailed-exitcode"])).code).toBe(2)
    expect((await run(["plan"])).code).toBe(0)
    await world.configure({ deletion: "forbid" })
    await world.remove(ADA)
    const blocked = await run(["plan", "--detailed-exitcode"])
    expect(blocked.output).toContain("! withheld: retire Ada: DeletionForbidden")
    expect(blocked.code).toBe(3)
    await world.configure()
    await world.declare({ id: ADA, name: "Ada" })
  })

  test("as JSON says what would be done, and from what it follows, in the shape of its schema", async () => {
    const document: unknown = JSON.parse((await run(["plan", "--json"])).output)
    expect(document).toMatchObject({
      version: 1,
      fleet: "proof",
      counts: { changes: 1, removals: 0, waiting: 0, withheld: 0, stalls: 0, problems: 0 },
      changes: [
        {
          tenant: BOB,
          name: "Bob",
          kind: "create",
          removal: false,
          actions: expect.arrayContaining(["reserve", "publish"]),
        },
      ],
      basis: { "fleet.yaml": expect.any(String), "database products-Ada": expect.any(String) },
    })
    const validate = new Ajv2020({ strict: false }).compile(JSON.parse(renderJsonSchema("plan")) as object)
    expect(validate(document)).toBe(true)
    expect(validate({ ...(document as object), version: 2 })).toBe(false)
  })

  test("for a pull request is written as Markdown, without a credential", async () => {
    const file = path.join(world.folder, "comment.md")
    const { code } = await world.run([
      "plan",
      "--comment",
      file,
      "--run-url",
      "https://github.com/a/b/runs/1",
    ])
    expect(code).toBe(0)
    const comment = await readFile(file, "utf8")
    expect(comment).toMatch(/^<!-- tenantry plan -->\n### Plan for the fleet `proof`: 1 change, 0 removals/)
    expect(comment).not.toContain(world.environment()["NEON_API_KEY"])
  })
})

describe("drift", () => {
  test("ends with 2 where the world is not as declared, 3 where a person has to act, and changes nothing", async () => {
    const drifted = await run(["drift"])
    expect(drifted.output).toContain("+ create Bob")
    expect(drifted.output).toContain("drift: 1 to change")
    expect(drifted.code).toBe(2)
    expect(await databases()).not.toContain("products-Bob")
    await writeFile(path.join(world.tenantsDir, "x.yaml"), "id: 1\n")
    expect((await run(["drift", "--settle", "0.1"])).code).toBe(3)
    await rm(path.join(world.tenantsDir, "x.yaml"))
  })

  test("sees a marker that was moved, which the lists do not show", async () => {
    await world.remove(BOB)
    expect((await run(["drift"])).code).toBe(0)
    const marker = `tenantry/1 fleet=proof tenant=${ADA}`
    await world.sql(
      "products-Ada",
      `comment on database "products-Ada" is 'tenantry/1 fleet=proof tenant=${DAN}'`,
    )
    const moved = await run(["drift"])
    expect(moved.output).toContain("stalled: Ada: MarkerMismatch")
    expect(moved.code).toBe(3)
    await world.sql("products-Ada", `comment on database "products-Ada" is '${marker}'`)
    await world.declare({ id: BOB, name: "Bob" })
  })
})

describe("apply of a saved plan", () => {
  test("is refused when a file changed since, and changes nothing", async () => {
    await run(["plan", "--out", saved()])
    await world.declare({ id: BOB, name: "Bobby" })
    const refused = await run(["apply", saved()])
    expect(refused).toMatchObject({
      code: 1,
      output: expect.stringMatching(/^the plan is out of date.*\.yaml; make a new one/),
    })
    expect((await run(["plan", "--json"])).output).toContain('"name": "Bobby"')
  })

  test("is refused when the world changed since", async () => {
    await run(["plan", "--out", saved()])
    await world.secrets.setSecret("another", "somebody's")
    const refused = await run(["apply", saved()])
    expect(refused).toMatchObject({
      code: 1,
      output: expect.stringContaining("changed since: secret another;"),
    })
  })

  test("is done when nothing changed", async () => {
    await run(["plan", "--out", saved()])
    expect((await world.run(["apply", saved()])).output).toContain("✓ create Bobby")
    expect((await run(["plan", "--detailed-exitcode"])).code).toBe(0)
  })

  test("of a file that is no plan says how to make one", async () => {
    const refused = await run(["apply", world.fleetFile])
    expect(refused).toMatchObject({
      code: 1,
      output: expect.stringContaining("make it with: tenantry plan --out"),
    })
  })
})

describe("apply", () => {
  test("does nothing at all where more would be changed or removed than it may", async () => {
    await world.declare({ id: DAN, name: "Dan" })
    await world.remove(BOB)
    const changes = await run(["apply", "--max-changes", "1"])
    expect(changes).toMatchObject({
      code: 1,
      output:
        '2 changes are more than the 1 that --max-changes allows, so nothing was done: look at "tenantry plan", and allow more\n',
    })
    const removals = await run(["apply", "--max-removals", "0"])
    expect(removals.output).toContain("1 removals are more than the 0 that --max-removals allows")
    expect(await databases()).toEqual(expect.arrayContaining(["products-Bobby"]))
    expect(await databases()).not.toContain("products-Dan")
  })

  test("of one tenant leaves the others as they are", async () => {
    const { code, output } = await run(["apply", "--tenant", "Dan"])
    expect(output).toContain("✓ create Dan")
    expect(output).not.toContain("Bobby")
    expect(code).toBe(0)
    expect(await stateOf(BOB)).toBe("active")
  })

  test("goes on until every wave of a rollout is through, and with --once says what is left", async () => {
    await world.configure({ rollout: { canary: 1, waveSize: 1, stopAfterFailures: 1 } })
    await world.addMigration("0002_colour.sql", "alter table products add colour text;")
    const once = await run(["apply", "--once", "--tenant", "Ada"])
    expect(once.output).toContain("1 changes done, 0 failed\n")
    const all = await run(["apply"])
    expect(all.output.match(/✓ \w+ \w+/g)?.toSorted()).toEqual(["✓ migrate Dan", "✓ retire Bobby"])
    await world.addMigration("0003_size.sql", "alter table products add size text;")
    const first = await run(["apply", "--once"])
    expect(first.output).toContain("… 1 to follow: migrate: RolloutWaits: waits until Ada is at 0003")
    expect(first.output).toMatch(
      /1 changes done, 0 failed; left: 0 to change, 1 to follow, 0 withheld.*"tenantry plan" shows it/,
    )
    expect((await run(["apply"])).output).toContain("✓ migrate Dan")
    expect((await run(["plan", "--detailed-exitcode"])).code).toBe(0)
    await world.configure()
  })
})

describe("restore and purge", () => {
  test("a tenant that is not retired, or is protected, cannot be purged", async () => {
    const declared = await run(["purge", "Ada", "--yes", "Ada"])
    expect(declared.output).toMatch(/^Ada cannot be purged: .*aaaaaaaa.*\.yaml declares it; remove the file/)
    const tags = await tagsOf(BOB)
    await world.secrets.updateSecretProperties(`tenant-${BOB}`, "", { tags: { ...tags!, protected: "true" } })
    const guarded = await run(["purge", "Bobby", "--yes", "Bobby"])
    expect(guarded.output).toMatch(/^Bobby cannot be purged: it is protected; restore its file, /)
    await world.secrets.updateSecretProperties(`tenant-${BOB}`, "", { tags: tags! })
  })

  test("a purge needs the tenant's name, on a terminal or by --yes", async () => {
    const asked = await run(["purge", BOB])
    expect(asked).toMatchObject({
      code: 1,
      output: `nothing was done: there is no terminal to ask on: to purge Bobby (${BOB}): its data is deleted for ever, add --yes Bobby\n`,
    })
    const mistaken = await run(["purge", "Bobby", "--yes", "Dan"])
    expect(mistaken.output).toBe("nothing was done: --yes says Dan, and this is about Bobby\n")
    expect((await tagsOf(BOB))?.["approval"]).toBeUndefined()
  })

  test("what is restored gets its file back, and by the next pass its data", async () => {
    const { code, output } = await run(["restore", "Bobby"])
    expect(output).toContain(`bobby.yaml declares Bobby (${BOB}) again, which is retired now: commit it`)
    expect(code).toBe(0)
    const text = await readFile(path.join(world.tenantsDir, "bobby.yaml"), "utf8")
    expect(text).toBe(`# yaml-language-server: $schema=../tenant.schema.json\nid: ${BOB}\nname: Bobby\n`)
    expect((await run(["apply"])).output).toContain("✓ restore Bobby")
    const again = await run(["restore", "Bobby"])
    expect(again.output).toMatch(/^Bobby cannot be restored: .*bobby\.yaml declares it\n$/)
  })

  test("a clock that jumped ahead of Postgres's ends no grace period", async () => {
    const file = path.join(world.tenantsDir, "bobby.yaml")
    const text = await readFile(file, "utf8")
    await rm(file)
    expect((await run(["apply"])).output).toContain("✓ retire Bobby")
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 400 * 86_400_000 })
    try {
      expect((await run(["plan"])).output).toContain("plan: 0 to change, 0 withheld")
    } finally {
      vi.useRealTimers()
    }
    await writeFile(file, text)
    expect((await run(["apply"])).output).toContain("✓ restore Bobby")
  })

  test("what is purged is gone at the next pass, long before its grace period is over", async () => {
    await rm(path.join(world.tenantsDir, "bobby.yaml"))
    await run(["apply"])
    expect((await run(["purge", "Bobby", "--yes", "Bobby"])).code).toBe(0)
    const done = await run(["apply", "--tenant", BOB])
    expect(done.output).toContain("✓ purge Bobby")
    expect(done.output).toMatch(/\n1 changes done, 0 failed\n$/)
    expect(done.code).toBe(0)
    expect(await databases()).not.toContain(`retired-${BOB}`)
    const gone = await run(["restore", BOB])
    expect(gone.output).toMatch(/^the ledger has no tenant named bbbb/)
  })

  test("what gives data up for ever asks for the name too", async () => {
    const { output } = await run(["approve", "Ada", "recreate"])
    expect(output).toMatch(
      /^nothing was done: there is no terminal to ask on: to let Ada be recreated: .*, add --yes Ada\n$/,
    )
  })
})

describe("hosts", () => {
  const hostsOf = async (id: string) => (await tagsOf(id))?.["hosts"]

  test("that change hands in one commit: a saved plan shows both sides, gives the host up first, and does both", async () => {
    await world.declare({ id: ADA, name: "Ada", hosts: ["shop.example", "a.example"] })
    expect((await run(["apply"])).output).toContain("✓ update Ada")
    expect(await hostsOf(ADA)).toBe("a.example shop.example")
    await world.declare({ id: ADA, name: "Ada", hosts: ["a.example"] })
    await world.declare({ id: DAN, name: "Dan", hosts: ["shop.example", "dan.example"] })
    const planned = await run(["plan", "--out", saved()])
    expect(planned.output).toContain("~ update Ada (record)\n~ update Dan (record)\n")
    expect(planned.output).toContain(
      "… 1 to follow: update: HostNotFree: waits for the host shop.example, which Ada gives up first\n",
    )
    const { code, output } = await run(["apply", saved()])
    expect(output.match(/✓ \w+ \w+/g)?.toSorted()).toEqual(["✓ update Ada", "✓ update Dan", "✓ update Dan"])
    expect(code).toBe(0)
    expect(await Promise.all([ADA, DAN].map(hostsOf))).toEqual(["a.example", "dan.example shop.example"])
    expect((await run(["plan", "--detailed-exitcode"])).code).toBe(0)
  })

  test("that a protected tenant without a file has do not change hands, and the plan says why", async () => {
    const tags = await tagsOf(DAN)
    await world.secrets.updateSecretProperties(`tenant-${DAN}`, "", { tags: { ...tags!, protected: "true" } })
    await world.remove(DAN)
    await world.declare({ id: ADA, name: "Ada", hosts: ["a.example", "shop.example"] })
    const { output } = await run(["apply"])
    expect(output).toContain(`! stalled: Ada: HostTaken: the host shop.example still leads to Dan (${DAN}): `)
    expect(await hostsOf(ADA)).toBe("a.example")
    expect((await run(["approve", "Dan", "retire"])).code).toBe(0)
    expect((await run(["apply"])).output).toMatch(/✓ retire Dan[^]*✓ update Ada/)
    expect(await hostsOf(ADA)).toBe("a.example shop.example")
  })

  test("come back with the file of a tenant that is restored, but for those that another has now", async () => {
    const { output } = await run(["restore", "Dan"])
    expect(output).toMatch(/^hosts that other tenants have now are left out: shop\.example \(.*\.yaml\)$/m)
    const text = await readFile(path.join(world.tenantsDir, "dan.yaml"), "utf8")
    expect(text).toMatch(/^hosts:\n  - dan\.example\n$/m)
    expect((await run(["apply"])).output).toContain("✓ restore Dan")
    expect(await hostsOf(DAN)).toBe("dan.example")
    expect((await run(["plan", "--detailed-exitcode"])).code).toBe(0)
    await rm(path.join(world.tenantsDir, "dan.yaml"))
    await world.declare({ id: DAN, name: "Dan" })
  })
})

test("a command that has to write waits while another reconciler applies, or until Ctrl-C", async () => {
  const uris = ownerUris(openWorld(readConfig(world.environment())))(world.neon.projectId)
  const lease = await acquireLease(await uris.direct("neondb", "postgres"), world.fleet)
  await world.declare({ id: BOB, name: "Bob" })
  const waits = "another reconciler of this fleet is applying; waiting for it\n"
  const rotating = world.start(["rotate", "Ada"])
  const applying = world.start(["apply"])
  await eventually("both say that they wait", () => {
    expect(rotating.output()).toBe(waits)
    expect(applying.output()).toBe(waits)
  })
  process.kill(-applying.group, "SIGINT")
  expect(await applying.ended).toMatchObject({
    code: 1,
    output: `${waits}stopped while another reconciler of this fleet was applying\n`,
  })
  await lease!.release()
  expect(await rotating.ended).toMatchObject({ code: 0, output: expect.stringContaining("will rotate") })
  const { output } = await run(["apply"])
  expect(output).toContain("✓ rotate Ada")
  expect(output).toContain("✓ create Bob")
})

describe("doctor", () => {
  test("says of each thing that it is well", async () => {
    const { code, output } = await run(["doctor"])
    const found = output.split("\n").map((line) => line.replaceAll(/\d+/g, "0"))
    expect(found).toEqual([
      expect.stringMatching(/^✓ versions: Tenantry 0\.0\.0 on Node 0\.0\.0$/),
      "✓ environment: complete",
      expect.stringMatching(/^✓ fleet file: .* declares the fleet proof$/),
      expect.stringMatching(/^✓ tenants: .* declares 0$/),
      expect.stringMatching(/^✓ migrations: .* makes 0:/),
      expect.stringMatching(/^✓ Neon: .* answers after 0 ms$/),
      "✓ Neon: clock: agrees with this machine's",
      expect.stringMatching(/^✓ Neon: rights: branch .* has 0 databases$/),
      expect.stringMatching(/^✓ Postgres: Postgres 0\.0, as /),
      expect.stringMatching(/^✓ Key Vault: .* answers after 0 ms$/),
      "✓ Key Vault: clock: agrees with this machine's",
      expect.stringMatching(/^✓ Key Vault: rights: may list: 0 secrets$/),
      "✓ Key Vault: rights: may write and delete secrets of tenants",
      expect.stringMatching(/^✓ reconciler: none runs here on port 0/),
      "",
    ])
    expect(code).toBe(0)
  })

  test("says of what is not well what to do, and goes on with the rest", async () => {
    const { code, output } = await run(["doctor", "--json"], {
      NEON_API_KEY: "wrong-key-of-nobody",
      TENANTS_DIR: "/nowhere",
      ...world.vault.environment("api"),
    })
    const findings = JSON.parse(output) as { what: string; verdict: string; said: string }[]
    const problems = findings.filter(({ verdict }) => verdict === "problem")
    expect(problems).toEqual([
      expect.objectContaining({ what: "tenants", said: expect.stringContaining("check TENANTS_DIR") }),
      expect.objectContaining({ what: "Neon: rights", said: expect.stringContaining("401") }),
      expect.objectContaining({
        what: "Key Vault: rights",
        said: expect.stringContaining("give this identity its role"),
      }),
    ])
    expect(code).toBe(1)
    expect(output).not.toContain("wrong-key-of-nobody")
  })

  test("names every variable that is missing", async () => {
    const { code, output } = await run(["doctor"], { NEON_API_KEY: "", KEY_VAULT_URL: "http://x" })
    expect(output).toContain("✗ environment: NEON_API_KEY must be a Neon API key\n")
    expect(output).toContain(
      "✗ environment: KEY_VAULT_URL must be a URL such as https://my-vault.vault.azure.net\n",
    )
    expect(code).toBe(1)
  })
})

describe("files", () => {
  test("new writes one with a fresh id, once", async () => {
    expect((await run(["new", "Cleo", "--seed", "demo"])).code).toBe(0)
    const text = await readFile(path.join(world.tenantsDir, "cleo.yaml"), "utf8")
    expect(text).toMatch(/^# yaml-language-server: .*\nid: [0-9a-f-]{36}\nname: Cleo\nseed: demo\n$/)
    expect(await run(["new", "CLEO"])).toMatchObject({
      code: 1,
      output: expect.stringContaining("cleo.yaml declares a tenant named Cleo already"),
    })
  })

  test("new writes none that names a seed which is not there", async () => {
    expect(await run(["new", "Seeded", "--seed", "nope"])).toEqual({
      code: 1,
      output: "--seed: there is no migrations/seeds/nope.sql; the seeds are: demo\n",
    })
    expect(existsSync(path.join(world.tenantsDir, "seeded.yaml"))).toBe(false)
  })

  test("new writes each of its hosts, and none that another file has", async () => {
    const hosts = ["--host", "Shop.Brand.example", "--host", "brand.example"]
    expect((await run(["new", "Hosted", ...hosts])).code).toBe(0)
    const text = await readFile(path.join(world.tenantsDir, "hosted.yaml"), "utf8")
    expect(text).toMatch(/\nname: Hosted\nhosts:\n {2}- shop\.brand\.example\n {2}- brand\.example\n$/)
    expect(await run(["new", "Other", "--host", "BRAND.example"])).toMatchObject({
      code: 1,
      output: expect.stringMatching(
        /hosted\.yaml has the host brand\.example already; a host leads to one tenant\n$/,
      ),
    })
    expect((await run(["validate"])).code).toBe(0)
    await rm(path.join(world.tenantsDir, "hosted.yaml"))
  })

  test("rename changes the name and nothing else", async () => {
    const file = path.join(world.tenantsDir, "cleo.yaml")
    const before = await readFile(file, "utf8")
    expect((await run(["rename", "Cleo", "Cleopatra"])).code).toBe(0)
    expect(await readFile(file, "utf8")).toBe(before.replace("name: Cleo\n", "name: Cleopatra\n"))
  })
})

test.for<[words: string[], message: RegExp]>([
  [["rename", "Ada", "Dan"], /declares a tenant named Dan already\n$/],
  [["approve", "Nobody", "retire"], /^the ledger has no tenant named Nobody: give the id/],
  [["import", "products-Ada", "--id", ADA, "--name", "Ada"], /^products-Ada is no unmanaged database/],
  [["rotate", "Nobody"], /^the ledger has no tenant named Nobody/],
  [
    ["apply", "--tenant", "Nobody"],
    /^no file and no entry of the ledger has the tenant Nobody: give its id\n$/,
  ],
  [["restore", "Nobody"], /^the ledger has no tenant named Nobody/],
  [
    ["migrate", "down", "--tenant", "Ada"],
    /^nothing was done: there is no terminal to ask on: to undo steps of Ada/,
  ],
])("%j is one line that says what is wrong", async ([words, message]) => {
  const { code, output } = await run(words)
  expect(output).toMatch(message)
  expect(output.trim().split("\n")).toHaveLength(1)
  expect(code).toBe(1)
})
