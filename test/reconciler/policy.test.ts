import { expect, test } from "vitest"
import type { Change } from "../../reconciler/action.ts"
import { type Circumstances, type Policy, restrain } from "../../reconciler/policy.ts"
import { retiredDatabaseName, TenantId } from "../../reconciler/tenant.ts"
import { ADA, BOB, change, CLEO, database, LENIENT } from "./samples.ts"

const QUIET: Circumstances = { unreadable: 0, desired: 10, fleet: 10, databases: [] }

const retire = (id: TenantId, name: string): Change => {
  const from = `products-${name}`
  return change(
    "retire",
    id,
    name,
    { kind: "close", database: from },
    { kind: "rename", from, to: retiredDatabaseName(id) },
  )
}
const create = (id: TenantId, name: string) =>
  change("create", id, name, { kind: "create", database: `products-${name}` })
const rename = (id: TenantId, from: string, to: string) =>
  change("rename", id, to, { kind: "rename", from: `products-${from}`, to: `products-${to}` })

const decide = (
  changes: Change[],
  policy: Partial<Policy> = {},
  circumstances: Partial<Circumstances> = {},
) => {
  const around = { ...QUIET, ...circumstances }
  const {
    changes: allowed,
    withheld,
    stalls,
  } = restrain(
    {
      changes,
      stalls: [],
      contests: [],
      homes: new Map(),
      unseen: [],
      unmanaged: { databases: [], secrets: [] },
    },
    { ...LENIENT, ...policy },
    around,
  )
  return {
    done: allowed.map(({ kind, name }) => `${kind} ${name}`),
    withheld: withheld.map((one) => `${one.change.kind} ${one.change.name}: ${one.reason}`),
    stalled: stalls.map(({ name, reason }) => `${name}: ${reason}`),
  }
}

test("where nothing speaks against it, all is done", () => {
  expect(decide([retire(ADA, "Ada"), create(BOB, "Bob")])).toEqual({
    done: ["retire Ada", "create Bob"],
    withheld: [],
    stalled: [],
  })
})

test.for<[string, Partial<Policy>, Partial<Circumstances>]>([
  ["UnreadableFiles", {}, { unreadable: 1 }],
  ["NothingDesired", {}, { desired: 0 }],
  ["DeletionForbidden", { deletion: "forbid" }, {}],
  ["TooManyRemovals", { maxRemovals: 0 }, {}],
  ["TooManyRemovals", { maxRemovalShare: 0 }, {}],
])("%s withholds removals, and nothing else", ([reason, policy, circumstances]) => {
  const purge = change("purge", CLEO, "Cleo", { kind: "forget" })
  expect(decide([retire(ADA, "Ada"), purge, create(BOB, "Bob")], policy, circumstances)).toEqual({
    done: ["create Bob"],
    withheld: [`retire Ada: ${reason}`, `purge Cleo: ${reason}`],
    stalled: [],
  })
})

const many = (count: number) =>
  Array.from({ length: count }, (_, n) =>
    retire(TenantId.parse(`${String(n).padStart(8, "0")}-0000-4000-8000-000000000000`), `T${n}`),
  )

test.for([
  { maxRemovals: 5, maxRemovalShare: 0.5, fleet: 100, cap: 5 },
  { maxRemovals: 5, maxRemovalShare: 0.5, fleet: 8, cap: 4 },
  { maxRemovals: 5, maxRemovalShare: 0.5, fleet: 3, cap: 1 },
  { maxRemovals: 5, maxRemovalShare: 0.5, fleet: 1, cap: 0 },
  { maxRemovals: 5, maxRemovalShare: 0.1, fleet: 9, cap: 0 },
  { maxRemovals: 2, maxRemovalShare: 1, fleet: 2, cap: 2 },
  { maxRemovals: 0, maxRemovalShare: 1, fleet: 100, cap: 0 },
])("of $fleet tenants at most $maxRemovals and at most $maxRemovalShare of them: $cap", (numbers) => {
  const { maxRemovals, maxRemovalShare, fleet, cap } = numbers
  const policy = { maxRemovals, maxRemovalShare }
  expect(decide(many(cap), policy, { fleet }).withheld).toEqual([])
  expect(decide(many(cap), policy, { fleet }).done).toHaveLength(cap)
  expect(decide(many(cap + 1), policy, { fleet }).done).toEqual([])
  expect(decide(many(cap + 1), policy, { fleet }).withheld).toHaveLength(cap + 1)
})

test("a withheld removal says how many it would be, and how many may be", () => {
  const policy: Policy = { deletion: "retire", maxRemovals: 5, maxRemovalShare: 0.5 }
  const { withheld } = restrain(
    {
      changes: many(3),
      stalls: [],
      contests: [],
      homes: new Map(),
      unseen: [],
      unmanaged: { databases: [], secrets: [] },
    },
    policy,
    { ...QUIET, fleet: 4 },
  )
  expect(withheld[0]?.message).toBe(
    "3 removals are more than the 2 that fleet.yaml allows in one pass (5, and 50 % of 4)",
  )
})

test("who wants a name that somebody has, waits", () => {
  const databases = [database("products-Ada", null)]
  expect(decide([create(ADA, "Ada"), create(BOB, "Bob")], {}, { databases })).toEqual({
    done: ["create Bob"],
    withheld: [],
    stalled: ["Ada: NameTaken"],
  })
})

test("a name that another change gives up is free, in a chain and in a circle", () => {
  const databases = [database("products-Ada", ADA), database("products-Bob", BOB)]
  const chain = [rename(ADA, "Ada", "Bob"), rename(BOB, "Bob", "Cleo")]
  expect(decide(chain, {}, { databases }).stalled).toEqual([])
  const circle = [rename(ADA, "Ada", "Bob"), rename(BOB, "Bob", "Ada")]
  expect(decide(circle, {}, { databases }).stalled).toEqual([])
})

test("who waits for somebody who waits, waits too", () => {
  const databases = [
    database("products-Ada", ADA),
    database("products-Bob", BOB),
    database("products-Cleo", null),
  ]
  const chain = [create(CLEO, "Ada"), rename(ADA, "Ada", "Bob"), rename(BOB, "Bob", "Cleo")]
  expect(decide(chain, {}, { databases })).toEqual({
    done: [],
    withheld: [],
    stalled: ["Cleo: NameTaken", "Bob: NameTaken", "Ada: NameTaken"],
  })
})

test("a new tenant does not get the name of one whose removal is withheld", () => {
  const databases = [database("products-Ada", ADA)]
  const changes = [retire(ADA, "Ada"), create(BOB, "Ada")]
  expect(decide(changes, {}, { databases }).done).toEqual(["retire Ada", "create Ada"])
  expect(decide(changes, {}, { databases, unreadable: 1 })).toEqual({
    done: [],
    withheld: ["retire Ada: UnreadableFiles"],
    stalled: ["Ada: NameTaken"],
  })
})
