import fc from "fast-check"
import { expect, test } from "vitest"
import type { RolloutPolicy } from "../../reconciler/fleet.ts"
import {
  type Failures,
  heldSchema,
  remember,
  retryAt,
  type Rollout,
  rollOut,
  takeTurns,
} from "../../reconciler/rollout.ts"
import { TenantId } from "../../reconciler/tenant.ts"
import { change, entry } from "../reconciler/samples.ts"

const OLD = "0001:aa"
const NEW = "0002:bb"
const POLICY: RolloutPolicy = { canary: 1, waveSize: 3, stopAfterFailures: 2 }
const NAMES = ["Ada", "Bob", "Cleo", "Dora", "Emil", "Fay", "Gus", "Hana"]
const idOf = (n: number) => TenantId.parse(`${n}0000000-0000-4000-8000-000000000000`)

/** A fleet in memory: passes are made on it until nothing moves. */
function fleetOf(size: number, policy: RolloutPolicy = POLICY) {
  const entries = NAMES.slice(0, size).map((name, n) => entry(idOf(n), name, { schema: OLD }))
  let failures: Failures = new Map()
  let now = 0
  const schemaOf = (name: string) => entries.find((one) => one.name === name)!.schema
  const fleet = {
    entries,
    advance: (ms: number) => (now += ms),
    look: (version = NEW): Rollout => {
      const changes = entries
        .filter(({ schema }) => schema !== version)
        .map(({ id, name }) => change("migrate", id, name))
      return rollOut(changes, { version, entries, failures, now }, policy)
    },
    /** One pass; returns the names of those that were tried. */
    pass: (fails: readonly string[] = [], { version = NEW, isTerminal = true } = {}): string[] => {
      const { go } = fleet.look(version)
      const outcomes = go.map((one) => ({
        change: one,
        error: fails.includes(one.name)
          ? { reason: "MigrationFailed", message: "0002_b.sql:1: no", isTerminal }
          : undefined,
      }))
      for (const { change: one, error } of outcomes)
        if (!error) entries.find(({ id }) => id === one.tenant)!.schema = version
      failures = remember(failures, outcomes, { version, now })
      return go.map(({ name }) => name)
    },
    at: (version: string) => entries.map(({ name }) => name).filter((name) => schemaOf(name) === version),
  }
  return fleet
}
const reasons = ({ waiting }: Rollout) =>
  Object.fromEntries(
    waiting.map(({ change: { name }, reason, isStalled }) => [
      name,
      `${reason}${isStalled ? " stalled" : ""}`,
    ]),
  )

test("a canary goes first, then the others in waves", () => {
  const fleet = fleetOf(6)
  expect(reasons(fleet.look())).toEqual({
    Bob: "RolloutWaits",
    Cleo: "RolloutWaits",
    Dora: "RolloutWaits",
    Emil: "RolloutWaits",
    Fay: "RolloutWaits",
  })
  expect(fleet.look().waiting[0]!.message).toBe(
    "waits until Ada is at 0002:bb, as rollout.canary in fleet.yaml says",
  )
  expect(fleet.pass()).toEqual(["Ada"])
  expect(fleet.look().waiting[0]!.message).toBe("waits for its wave: 3 tenants are being migrated to 0002:bb")
  expect(fleet.pass()).toEqual(["Bob", "Cleo", "Dora"])
  expect(fleet.pass()).toEqual(["Emil", "Fay"])
  expect(fleet.pass()).toEqual([])
})

test("canaries by name go first, together", () => {
  const fleet = fleetOf(6, { ...POLICY, canary: ["Emil", "Cleo"] })
  expect(fleet.pass()).toEqual(["Cleo", "Emil"])
  expect(fleet.pass()).toEqual(["Ada", "Bob", "Dora"])
})

test("where no named canary can be migrated the first tenant stands in", () => {
  const fleet = fleetOf(4, { ...POLICY, canary: ["Zoe"] })
  expect(fleet.pass()).toEqual(["Ada"])
  expect(fleet.pass()).toEqual(["Bob", "Cleo", "Dora"])
})

test("without canaries the first wave begins at once", () => {
  expect(fleetOf(4, { ...POLICY, canary: 0 }).pass()).toEqual(["Ada", "Bob", "Cleo"])
})

test("a canary that fails keeps the others where they are, and is tried again after a while", () => {
  const fleet = fleetOf(4)
  fleet.pass(["Ada"])
  expect(reasons(fleet.look())).toEqual({
    Ada: "MigrationFailed stalled",
    Bob: "RolloutWaits",
    Cleo: "RolloutWaits",
    Dora: "RolloutWaits",
  })
  expect(fleet.look().retryAt).toBe(30_000)
  expect(fleet.look().waiting.find(({ isStalled }) => isStalled)!.message).toBe(
    "0002_b.sql:1: no; it is tried again after 1970-01-01T00:00:30.000Z",
  )
  expect(fleet.pass()).toEqual([])
  fleet.advance(30_000)
  expect(fleet.pass(["Ada"])).toEqual(["Ada"])
  expect(fleet.look().retryAt).toBe(90_000)
  fleet.advance(60_000)
  expect(fleet.pass()).toEqual(["Ada"])
  expect(fleet.pass()).toEqual(["Bob", "Cleo", "Dora"])
})

test("one that fails does not stop the others inside the limit", () => {
  const fleet = fleetOf(6)
  fleet.pass()
  expect(fleet.pass(["Bob"])).toEqual(["Bob", "Cleo", "Dora"])
  expect(fleet.pass()).toEqual(["Emil", "Fay"])
  expect(fleet.at(OLD)).toEqual(["Bob"])
})

test("at the limit the rollout stops, says why, and goes on when the version has changed", () => {
  const fleet = fleetOf(8)
  fleet.pass()
  fleet.pass(["Bob", "Dora"])
  expect(fleet.pass()).toEqual([])
  expect(reasons(fleet.look())).toEqual({
    Bob: "MigrationFailed stalled",
    Dora: "MigrationFailed stalled",
    Emil: "RolloutStopped",
    Fay: "RolloutStopped",
    Gus: "RolloutStopped",
    Hana: "RolloutStopped",
  })
  expect(fleet.look().waiting.find(({ reason }) => reason === "RolloutStopped")!.message).toBe(
    "2 tenants could not be migrated to 0002:bb (Bob, Dora): mend the migration, or what it met there",
  )
  const mended = { version: "0002:cc" }
  expect(fleet.pass([], mended)).toEqual(["Ada"])
  for (let n = 0; n < 3; n++) fleet.pass([], mended)
  expect(fleet.at("0002:cc")).toEqual(NAMES)
})

test("a rollout that was stopped also goes on when those that failed have got through", () => {
  const fleet = fleetOf(8)
  fleet.pass()
  fleet.pass(["Bob", "Dora"])
  fleet.advance(30_000)
  expect(fleet.pass()).toEqual(["Bob", "Dora"])
  expect(fleet.pass()).toEqual(["Emil", "Fay", "Gus"])
})

test("a lock that was busy says nothing of the migration: it does not stop the rollout", () => {
  const fleet = fleetOf(8, { ...POLICY, stopAfterFailures: 1 })
  fleet.pass()
  fleet.pass(["Bob", "Cleo"], { isTerminal: false })
  expect(reasons(fleet.look())).toMatchObject({ Bob: "MigrationFailed" })
  expect(fleet.pass()).toEqual(["Emil", "Fay", "Gus"])
})

test("a tenant that a person took back stays there until the migrations change", () => {
  const fleet = fleetOf(3)
  fleet.entries[0]!.schema = heldSchema(OLD, NEW)
  expect(reasons(fleet.look())).toMatchObject({ Ada: "RolloutHeld" })
  expect(fleet.pass()).toEqual(["Bob"])
  expect(fleet.pass()).toEqual(["Cleo"])
  expect(fleet.pass()).toEqual([])
  expect(fleet.pass([], { version: "0003:dd" })).toEqual(["Ada"])
})

test("what is no migration does not wait, and keeps its place", () => {
  const [ada, bob] = [idOf(0), idOf(1)]
  const changes = [
    change("migrate", bob, "Bob"),
    change("create", idOf(2), "Cleo"),
    change("migrate", ada, "Ada"),
    change("retire", idOf(3), "Dora"),
  ]
  const entries = [entry(ada, "Ada", { schema: OLD }), entry(bob, "Bob", { schema: OLD })]
  const { diff, waiting } = takeTurns(
    { changes },
    { version: NEW, entries, failures: new Map(), now: 0 },
    POLICY,
  )
  expect(diff.changes.map(({ kind, name }) => `${kind} ${name}`)).toEqual([
    "create Cleo",
    "migrate Ada",
    "retire Dora",
  ])
  expect(waiting.map(({ change: { name } }) => name)).toEqual(["Bob"])
})

test("a pass that was told to stop says nothing of the tenants that it did not come to", () => {
  const error = { reason: "Interrupted", message: "", isTerminal: false }
  const outcomes = [{ change: change("migrate", idOf(0), "Ada"), error }]
  expect(remember(new Map(), outcomes, { version: NEW, now: 0 }).size).toBe(0)
})

test("the backoff doubles from 30 s and ends at an hour", () => {
  const failure = { version: NEW, reason: "x", message: "x", isTerminal: true, at: 0 }
  const waits = [1, 2, 3, 7, 8, 100].map((attempts) => retryAt({ ...failure, attempts }) / 1000)
  expect(waits).toEqual([30, 60, 120, 1920, 3600, 3600])
})

const policies = fc.record({
  canary: fc.oneof(fc.integer({ min: 0, max: 4 }), fc.subarray([...NAMES, "Zoe"], { minLength: 1 })),
  waveSize: fc.integer({ min: 1, max: 9 }),
  stopAfterFailures: fc.integer({ min: 1, max: 5 }),
})
const RUNS = { numRuns: 2000 }

test("whatever the policy and whoever fails: waves are kept, and nobody is forgotten", () => {
  fc.assert(
    fc.property(
      policies,
      fc.nat(8),
      fc.subarray(NAMES),
      fc.array(fc.nat(60_000), { maxLength: 20 }),
      (policy, size, bad, pauses) => {
        const fleet = fleetOf(size, policy)
        for (const pause of pauses) {
          const seen = fleet.look()
          const pending = NAMES.slice(0, size).filter((name) => !fleet.at(NEW).includes(name))
          const named = [...seen.go, ...seen.waiting.map(({ change: one }) => one)].map(({ name }) => name)
          expect(named.toSorted()).toEqual(pending)
          expect(seen.go.length).toBeLessThanOrEqual(policy.waveSize)
          const isMoving = seen.go.length > 0 || seen.retryAt !== undefined
          expect(isMoving || pending.length === 0).toBe(true)
          fleet.pass(bad)
          fleet.advance(pause)
        }
      },
    ),
    RUNS,
  )
})

test("whatever the policy and whoever fails: no more fail than the limit and one wave allow", () => {
  fc.assert(
    fc.property(policies, fc.nat(8), fc.subarray(NAMES), (policy, size, bad) => {
      const fleet = fleetOf(size, policy)
      const failed = new Set<string>()
      for (let n = 0; n < 20; n++) {
        for (const name of fleet.pass(bad)) if (bad.includes(name)) failed.add(name)
        fleet.advance(1000)
      }
      expect(failed.size).toBeLessThanOrEqual(policy.stopAfterFailures - 1 + policy.waveSize)
    }),
    RUNS,
  )
})

test("whatever the policy: without failures, and after a fix, every tenant gets there", () => {
  fc.assert(
    fc.property(policies, fc.nat(8), fc.subarray(NAMES), (policy, size, bad) => {
      const fleet = fleetOf(size, policy)
      for (let n = 0; n < 20; n++) fleet.pass(bad)
      for (let n = 0; n < 20; n++) fleet.pass([], { version: "0002:cc" })
      expect(fleet.at("0002:cc")).toEqual(NAMES.slice(0, size))
    }),
    RUNS,
  )
})

test("while a canary is not through, only canaries and those that failed are tried", () => {
  fc.assert(
    fc.property(policies, fc.integer({ min: 1, max: 8 }), fc.subarray(NAMES), (policy, size, bad) => {
      const fleet = fleetOf(size, policy)
      const { canary } = policy
      const names = NAMES.slice(0, size)
      const present = typeof canary === "number" ? [] : names.filter((name) => canary.includes(name))
      const group = present.length > 0 ? present : names.slice(0, typeof canary === "number" ? canary : 1)
      for (let n = 0; n < 20; n++) {
        const isProven = group.every((name) => fleet.at(NEW).includes(name))
        const tried = fleet.pass(bad)
        if (!isProven) expect(group).toEqual(expect.arrayContaining(tried))
        fleet.advance(20_000)
      }
    }),
    RUNS,
  )
})
