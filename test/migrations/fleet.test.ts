/** Migrating a fleet by hand: real databases, the ledger in the vault, and the reconciler beside it. */
import { setTimeout as sleep } from "node:timers/promises"
import { rm, writeFile } from "node:fs/promises"
import path from "node:path"
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest"
import { readConfig } from "../../reconciler/config.ts"
import {
  type Choice,
  type Job,
  migrateFleet,
  rehearseFleet,
  undoFleet,
} from "../../reconciler/migrate-command.ts"
import { acquireLease } from "../../reconciler/providers/lease.ts"
import { withDatabase } from "../../reconciler/providers/postgres.ts"
import { openWorld } from "../../reconciler/world.ts"
import { type FleetWorld, startFleet } from "../fleet/world.ts"
import { failureOf, session } from "./server.ts"

const NAMES = ["Ada", "Bob", "Cleo"]
const ids = NAMES.map((_, n) => `${n + 1}0000000-0000-4000-8000-000000000000`)
const STEP = "create table stock (n int);\n-- tenantry: down\ndrop table stock;\n"
const ROLLOUT = { canary: 1, waveSize: 25, stopAfterFailures: 3 }
let world: FleetWorld
let job: Job
let told: string[]

/** What the ledger says of each tenant before a test, by the name of its secret. */
const before = new Map<string, Record<string, string>>()

beforeAll(async () => {
  world = await startFleet({ steps: 2 })
  for (const [n, name] of NAMES.entries()) await world.declare({ id: ids[n]!, name })
  await world.prepare()
  for await (const { name, tags } of world.secrets.listPropertiesOfSecrets())
    if (tags?.["fleet"] === world.fleet) before.set(name, tags)
})
afterAll(() => world?.stop())
beforeEach(async () => {
  const config = readConfig(world.environment())
  told = []
  job = {
    sources: config.sources,
    world: openWorld(config),
    signal: new AbortController().signal,
    expect: () => {},
    progress: ({ name, note, error }) => told.push(error ? `${name}: ${error.reason}` : note),
    say: (line) => told.push(line),
  }
  await world.configure({ rollout: ROLLOUT })
  await world.addMigration("0003_stock.sql", STEP)
})
/** Takes every tenant back to where it was: databases, ledger and files. */
afterEach(async () => {
  await Promise.all(
    NAMES.map((name) =>
      world.sql(
        `products-${name}`,
        `drop table if exists stock, more;
         alter table products drop column if exists stock;
         delete from tenantry.migrations where name > '0003'`,
      ),
    ),
  )
  for (const [name, tags] of before) {
    const { properties } = await world.secrets.getSecret(name)
    await world.secrets.updateSecretProperties(name, properties.version!, { ...properties, tags })
  }
  await rm(path.join(world.migrationsDir, "0004_more.sql"), { force: true })
})

/** The tenants' schemas, as the ledger has them, with digests left out. */
async function ledger(): Promise<Record<string, string>> {
  const schemas: Record<string, string> = {}
  for await (const { name, tags } of world.secrets.listPropertiesOfSecrets()) {
    if (tags?.["fleet"] === world.fleet) schemas[tags["tenant"]!] = tags["schema"]!.replaceAll(/:\w+/g, "")
    else expect(name).not.toMatch(/^tenant-\d0000000/)
  }
  return schemas
}
const hasStock = async (name: string) =>
  (
    await world.sql<{ has: boolean }>(`products-${name}`, "select to_regclass('stock') is not null as has")
  )[0]!.has
const all = (schema: string) => Object.fromEntries(NAMES.map((name) => [name, schema]))
const run = (choice: Choice = {}) => migrateFleet(job, choice)

test("the fleet is migrated, canary first, and the reconciler finds nothing to do", async () => {
  const { outcomes, waiting } = await run()
  expect(outcomes.map(({ name }) => name)).toEqual(NAMES)
  expect([waiting, told[0]]).toEqual([[], "Ada is at 0003"])
  expect(await ledger()).toEqual(all("0003"))
  expect(await Promise.all(NAMES.map(hasStock))).toEqual([true, true, true])
  await world.prepare()
  expect((await run()).outcomes).toEqual([])
})

test("a step that fails on the canary keeps it from the others; when it is mended all get it", async () => {
  await world.addMigration("0003_stock.sql", "create table stock (n int);\nselect 1/0;")
  const { outcomes, waiting } = await run()
  expect(outcomes.map(({ name, error }) => `${name} ${error?.message.replace(/.*\//, "")}`)).toEqual([
    "Ada 0003_stock.sql:2: division by zero (22012)",
  ])
  expect(waiting.map(({ change, reason }) => `${change.name} ${reason}`)).toEqual([
    "Bob RolloutWaits",
    "Cleo RolloutWaits",
  ])
  expect(await ledger()).toEqual(all("0002"))
  expect(await hasStock("Ada")).toBe(false)
  await world.addMigration("0003_stock.sql", STEP)
  expect((await run()).outcomes.filter(({ error }) => error)).toEqual([])
  expect(await ledger()).toEqual(all("0003"))
})

test("one tenant can be migrated alone, by name or id", async () => {
  await run({ tenant: "Cleo" })
  await run({ tenant: ids[1]! })
  expect(await ledger()).toEqual({ ...all("0003"), Ada: "0002" })
  expect(await failureOf(run({ tenant: "Zoe" }))).toContain("TerminalError TenantUnknown: no tenant Zoe")
})

test("`to` stops there, and the reconciler leaves them so until the migrations change", async () => {
  await world.addMigration("0004_more.sql", "create table more (n int);")
  await run({ to: "0003" })
  expect(await ledger()).toEqual(all("0003 not 0004"))
  expect(await failureOf(run({ to: "0007" }))).toContain(
    "there is no such step; there are 0001, 0002, 0003, 0004",
  )
  await run()
  expect(await ledger()).toEqual(all("0004"))
})

test("a dry run changes nothing and says who would fail; who then fails stops nobody else", async () => {
  await world.sql("products-Bob", "create table stock (other text)")
  const known = await ledger()
  const outcomes = await rehearseFleet(job, {})
  expect(
    outcomes.map(({ name, note, error }) => error?.message.replace(/.*\//, "") ?? `${name}: ${note}`),
  ).toEqual([
    "Ada: Ada would take 0003_stock.sql",
    '0003_stock.sql:1: relation "stock" already exists (42P07)',
    "Cleo: Cleo would take 0003_stock.sql",
  ])
  expect((await rehearseFleet(job, { canary: true })).map(({ name }) => name)).toEqual(["Ada"])
  expect(await ledger()).toEqual(known)
  expect(await hasStock("Ada")).toBe(false)

  // Whoever fails keeps the old schema, and the others go on.
  expect((await run()).outcomes.filter(({ error }) => error).map(({ name }) => name)).toEqual(["Bob"])
  expect(await ledger()).toEqual({ ...all("0003"), Bob: "0002" })
})

test("one tenant is taken down and held there; the fleet only by whoever says how many tenants that are", async () => {
  await run()
  const [outcome] = await undoFleet(job, { tenant: "Bob" })
  expect(outcome?.note).toBe("Bob is at 0002: undone 0003_stock.sql")
  expect(await ledger()).toEqual({ ...all("0003"), Bob: "0002 not 0003" })
  expect(await Promise.all(NAMES.map(hasStock))).toEqual([true, false, true])
  await run({ tenant: "Bob" })
  expect(await ledger()).toEqual(all("0003"))

  for (const confirm of [undefined, 2, 4]) {
    expect(await failureOf(undoFleet(job, { confirm }))).toContain(
      "TerminalError NotConfirmed: this undoes the steps after 0002, up to 0003, on 3 tenants, with the data that they hold: to do it, add --confirm 3",
    )
  }
  expect(await hasStock("Ada")).toBe(true)
  await undoFleet(job, { confirm: 3 })
  expect(await ledger()).toEqual(all("0002 not 0003"))
  expect(await Promise.all(NAMES.map(hasStock))).toEqual([false, false, false])
})

/** What a command said, without times and folders. */
const lines = ({ output }: { output: string }) =>
  output
    .split("\n")
    .map((line) => line.replace(/ \(\d+ ms\)$/, "").replace(/\/\S*\//, ""))
    .filter((line) => line !== "")

test("the command line does the same, one line for each tenant, and exits with 1 where one failed", async () => {
  await world.sql("products-Cleo", "create table stock (other text)")
  const rehearsed = await world.run(["migrate", "--dry-run"])
  expect([rehearsed.code, lines(rehearsed).toSorted()]).toEqual([
    1,
    [
      "2 tenants done, 1 failed",
      "✓ Ada would take 0003_stock.sql",
      "✓ Bob would take 0003_stock.sql",
      '✗ Cleo: MigrationFailed: 0003_stock.sql:1: relation "stock" already exists (42P07)',
    ],
  ])
  await world.sql("products-Cleo", "drop table stock")
  const migrated = await world.run(["migrate"])
  expect([migrated.code, lines(migrated)[0], lines(migrated).at(-1)]).toEqual([
    0,
    "✓ Ada is at 0003",
    "3 tenants done, 0 failed",
  ])
  expect((await world.run(["migrate", "down", "--to", "0002"])).output).toContain("add --confirm 3")
  const down = await world.run(["migrate", "down", "--tenant", "Bob", "--yes", "Bob"])
  expect([down.code, lines(down)]).toEqual([
    0,
    ["✓ Bob is at 0002: undone 0003_stock.sql", "1 tenants done, 0 failed"],
  ])
  expect(await hasStock("Bob")).toBe(false)
})

test("a step that cannot be undone leaves ledger and database as they are", async () => {
  await world.addMigration("0003_stock.sql", "create table stock (n int);\n")
  await run()
  const [outcome] = await undoFleet(job, { tenant: "Bob" })
  expect(outcome?.error?.message).toMatch(/^migration 0003_stock.sql cannot be undone: /)
  expect(await ledger()).toEqual(all("0003"))
  expect(await hasStock("Bob")).toBe(true)
})

test("a command waits for a reconciler that applies, and then does its work", async () => {
  const lease = await acquireLease(world.postgres.superuserUri, world.fleet)
  const work = run()
  while (told.length === 0) await sleep(20)
  expect(told).toEqual(["another reconciler of this fleet is applying; waiting for it"])
  expect(await ledger()).toEqual(all("0002"))
  await lease!.release()
  await work
  expect(await ledger()).toEqual(all("0003"))
})

test("a database that does not carry the tenant's marker is left alone", async () => {
  await world.sql(
    "postgres",
    `comment on database "products-Bob" is 'tenantry/1 fleet=proof tenant=${ids[2]}'`,
  )
  const { outcomes } = await run()
  expect(outcomes.map(({ name }) => name)).not.toContain("Bob")
  expect(await hasStock("Bob")).toBe(false)
  await world.sql(
    "postgres",
    `comment on database "products-Bob" is 'tenantry/1 fleet=proof tenant=${ids[1]}'`,
  )
})

test("fleet.yaml says who goes first, and for how long a step may wait", async () => {
  await writeFile(
    world.fleetFile,
    `${JSON.stringify({ fleet: world.fleet, deletion: "retire", gracePeriodDays: 30, maxRemovals: 100, maxRemovalShare: 1, migrations: { lockTimeoutSeconds: 0.1 }, rollout: { canary: ["Cleo"], waveSize: 2 } })}\n`,
  )
  await world.addMigration("0003_stock.sql", "alter table products add column stock int;")
  const holder = await session(withDatabase(world.postgres.superuserUri, "products-Cleo"))
  await holder.query("begin; select from products")
  expect((await run()).outcomes.map(({ name, error }) => `${name} ${error?.reason}`)).toEqual([
    "Cleo MigrationLockTimeout",
  ])
  await holder.end()
  expect((await run()).outcomes.map(({ name }) => name)).toEqual(["Cleo", "Ada", "Bob"])
})
