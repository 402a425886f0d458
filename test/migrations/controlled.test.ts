/** The reconciler rolls migrations out by itself: canary first, in waves, no further once too many have failed. */
import { stringify } from "yaml"
import { rm, writeFile } from "node:fs/promises"
import path from "node:path"
import { afterAll, beforeAll, expect, test } from "vitest"
import { readConfig } from "../../reconciler/config.ts"
import { control, type FleetStatus } from "../../reconciler/controller.ts"
import { createLogger } from "../../reconciler/log.ts"
import { renderMetrics } from "../../reconciler/metrics.ts"
import { tellAll } from "../../reconciler/pass-listener.ts"
import { acquireLease } from "../../reconciler/providers/lease.ts"
import { measurePasses } from "../../reconciler/pass-metrics.ts"
import { openWorld, type World } from "../../reconciler/world.ts"
import { eventually } from "../eventually.ts"
import { type FleetWorld, startFleet } from "../fleet/world.ts"
import { parseSeries, sumOf } from "../see/series.ts"

const NAMES = ["Ada", "Bob", "Cleo", "Dora", "Emil"]
const status: FleetStatus = { tenants: [], problems: [], lastPass: undefined, lastError: undefined }
const stop = new AbortController()
let fleet: FleetWorld
let world: World
let running: Promise<void>

beforeAll(async () => {
  fleet = await startFleet({ steps: 2 })
  for (const [n, name] of NAMES.entries())
    await fleet.declare({ id: `${n + 1}0000000-0000-4000-8000-000000000000`, name })
  await writeFile(
    fleet.fleetFile,
    stringify({
      fleet: fleet.fleet,
      deletion: "retire",
      gracePeriodDays: 30,
      maxRemovals: 100,
      maxRemovalShare: 1,
      rollout: { canary: 1, waveSize: 2, stopAfterFailures: 2 },
    }),
  )
  await fleet.prepare()
  const config = readConfig(fleet.environment())
  world = openWorld(config)
  const log = createLogger("reconciler", () => {})
  running = control(config.sources, world, {
    interval: 500,
    polling: 0,
    signal: stop.signal,
    log,
    status,
    listener: tellAll(measurePasses(status)),
  })
})
afterAll(async () => {
  stop.abort()
  await running
  await fleet?.stop()
})

/** "Ready 0002 Served" of each tenant. */
const seen = () =>
  Object.fromEntries(
    status.tenants.map(({ name, condition, schema, reason }) => [
      name,
      `${condition} ${schema?.slice(0, 4)} ${reason}`,
    ]),
  )
const becomes = (expected: Record<string, string>) =>
  eventually("the fleet is as expected", () => expect(seen()).toEqual(expected))
const all = (text: string) => Object.fromEntries(NAMES.map((name) => [name, text]))

test("a good step reaches everybody, one wave after the other", async () => {
  await becomes(all("Ready 0002 Served"))
  await fleet.addMigration(
    "0003_a.sql",
    "create table a (at timestamptz default now()); insert into a default values;",
  )
  await becomes(all("Ready 0003 Served"))
  const times = await Promise.all(
    NAMES.map(async (name) => {
      const rows = await fleet.sql<{ at: Date }>(
        `products-${name}`,
        "select applied_at as at from tenantry.migrations where name like '0003%'",
      )
      return { name, at: rows[0]!.at.getTime() }
    }),
  )
  const at = Object.fromEntries(times.map((one) => [one.name, one.at]))
  expect(at["Ada"]).toBeLessThan(Math.min(at["Bob"]!, at["Cleo"]!))
  expect(Math.max(at["Bob"]!, at["Cleo"]!)).toBeLessThan(Math.min(at["Dora"]!, at["Emil"]!))
})

test("a step that fails on the canary reaches nobody else; they are served and not Stalled", async () => {
  await fleet.addMigration("0004_b.sql", "create table b ();\nselect 1/0;")
  const old = { ...all("Reconciling 0003 RolloutWaits"), Ada: "Stalled 0003 MigrationFailed" }
  await becomes(old)
  // It stays so, pass after pass.
  const before = status.lastPass!.at
  await eventually("three more passes", () => expect(status.lastPass!.at).toBeGreaterThan(before + 1500))
  expect(seen()).toEqual(old)
  expect(status.tenants[0]!.message).toMatch(
    /0004_b.sql:2: division by zero \(22012\); it is tried again after /,
  )
  for (const name of NAMES)
    expect(await fleet.sql(`products-${name}`, "select to_regclass('b') as b")).toEqual([{ b: null }])
  await fleet.addMigration("0004_b.sql", "create table b ();")
  await becomes(all("Ready 0004 Served"))
})

test("after too many failures the rest waits; when the tenants are mended it goes on", async () => {
  for (const name of ["Bob", "Cleo"]) await fleet.sql(`products-${name}`, "create table c (other int)")
  await fleet.addMigration("0005_c.sql", "create table c ();")
  await becomes({
    Ada: "Ready 0005 Served",
    Bob: "Stalled 0004 MigrationFailed",
    Cleo: "Stalled 0004 MigrationFailed",
    Dora: "Reconciling 0004 RolloutStopped",
    Emil: "Reconciling 0004 RolloutStopped",
  })
  for (const name of ["Bob", "Cleo"]) await fleet.sql(`products-${name}`, "drop table c")
  // Half a minute later it would be tried again; what stands in for the time is the memory of the failure.
  world.failures = new Map([...world.failures].map(([id, failure]) => [id, { ...failure, at: 0 }]))
  await becomes(all("Ready 0005 Served"))
})

test("a new tenant gets every step at its creation, whatever the rollout does", async () => {
  await fleet.sql("products-Ada", "create table d (other int)")
  await fleet.addMigration("0006_d.sql", "create table d ();")
  await eventually("the canary has failed", () => expect(seen()["Ada"]).toBe("Stalled 0005 MigrationFailed"))
  await fleet.declare({ id: "90000000-0000-4000-8000-000000000000", name: "Zoe" })
  await eventually("Zoe is served", () => expect(seen()["Zoe"]).toBe("Ready 0006 Served"))
  expect(seen()["Bob"]).toBe("Reconciling 0005 RolloutWaits")
})

test("the metrics tell of the passes, of every call, of the tenants and of the stopped rollout", async () => {
  await eventually("the metrics show the fleet", async () => {
    const { type, text } = await renderMetrics()
    expect(type).toContain("text/plain")
    const series = parseSeries(text)
    const sum = (name: string, labels?: Record<string, string>) => sumOf(series, name, labels)
    expect(sum("tenantry_passes_total", { outcome: "done" })).toBeGreaterThan(5)
    expect(sum("tenantry_passes_total", { outcome: "incomplete" })).toBeGreaterThan(1)
    expect(sum("tenantry_pass_duration_seconds_count")).toBe(sum("tenantry_passes_total"))
    expect(Date.now() / 1000 - sum("tenantry_pass_last_success_timestamp_seconds")).toBeLessThan(60)
    expect(sum("tenantry_actions_total", { kind: "create", outcome: "done" })).toBe(6)
    expect(sum("tenantry_actions_total", { kind: "migrate", outcome: "failed" })).toBeGreaterThan(3)
    expect(sum("tenantry_changes_total", { kind: "migrate", outcome: "failed" })).toBeGreaterThan(3)
    expect(sum("tenantry_tenants", { condition: "Ready", state: "active" })).toBe(1)
    expect(sum("tenantry_tenants", { condition: "Reconciling" })).toBe(4)
    expect(sum("tenantry_tenants", { condition: "Stalled" })).toBe(1)
    expect(sum("tenantry_changes_withheld", { reason: "RolloutWaits" })).toBe(4)
    expect(sum("tenantry_tenants_by_schema", { schema: "0005" })).toBe(5)
    expect(sum("tenantry_migrations_pending")).toBe(5)
    expect(
      sum("tenantry_calls_total", { system: "neon", operation: "listDatabases", status: "200" }),
    ).toBeGreaterThan(5)
    expect(sum("tenantry_calls_total", { system: "neon", operation: "createDatabase", status: "201" })).toBe(
      6,
    )
    expect(
      sum("tenantry_calls_total", { system: "vault", operation: "listSecrets", status: "200" }),
    ).toBeGreaterThan(5)
    expect(sum("tenantry_calls_total", { system: "postgres", status: "ok" })).toBeGreaterThan(10)
    expect(sum("tenantry_calls_total", { system: "postgres", status: "MigrationFailed" })).toBeGreaterThan(3)
    expect(text).toContain("tenantry_lease_held 0")
    expect(text).toContain('tenantry_queue_depth{queue="sql"}')
    expect(text).not.toContain("Ada")
    expect(text).not.toContain("90000000-0000-4000-8000-000000000000")
  })
})

const shown = async () => parseSeries((await renderMetrics()).text).get("tenantry_lease_held")

test("the lease is shown while it is held", async () => {
  const uri = await world.cells[0]!.ownerUri("neondb", false)
  const lease = await acquireLease(uri, "another-fleet")
  expect(await shown()).toBe(1)
  await lease!.release()
  await eventually("the lease is given up", async () => expect(await shown()).toBe(0))
})

test("a throttled call is counted with its status, and so is the retry", async () => {
  const before = parseSeries((await renderMetrics()).text)
  fleet.neon.faults.add({ kind: "rate-limited" })
  await eventually("a retry is counted", async () => {
    const after = parseSeries((await renderMetrics()).text)
    const grown = (name: string) =>
      sumOf(after, name, { system: "neon", status: "429" }) -
      sumOf(before, name, { system: "neon", status: "429" })
    expect([grown("tenantry_calls_total"), grown("tenantry_call_retries_total")]).toEqual([1, 1])
  })
})

test("while a migration's file is faulty nobody is made or migrated, and everything else goes on", async () => {
  const ZOE = "90000000-0000-4000-8000-000000000000"
  const YAN = "a0000000-0000-4000-8000-000000000000"
  await fleet.sql("products-Ada", "drop table d")
  world.failures = new Map()
  await becomes({ ...all("Ready 0006 Served"), Zoe: "Ready 0006 Served" })

  await fleet.addMigration("0006_e.sql", "create table e ();")
  const fault = /0006_e\.sql: has the same number as 0006_d\.sql/
  await fleet.declare({ id: YAN, name: "Yan" })
  await fleet.declare({ id: ZOE, name: "Zola", suspended: true })
  await eventually("Zoe is Zola and suspended, and Yan waits", () => {
    expect(seen()["Zola"]).toMatch(/^(?:Ready|Reconciling) 0006 /)
    expect(seen()["Yan"]).toBe("Stalled undefined BadMigration")
    expect(status.tenants.find(({ name }) => name === "Zola")?.state).toBe("suspended")
  })
  expect(status.problems.join()).toMatch(fault)
  expect(status.lastError).toBeUndefined()
  await eventually("its database has the new name", async () => {
    const found = "select from pg_database where datname = 'products-Zola'"
    expect(await fleet.sql("postgres", found)).toHaveLength(1)
  })
  await rm(path.join(fleet.migrationsDir, "0006_e.sql"))
  await becomes({ ...all("Ready 0006 Served"), Yan: "Ready 0006 Served", Zola: "Ready 0006 Suspended" })
})
