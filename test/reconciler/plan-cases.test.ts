import { expect, test } from "vitest"
import { type Desired, diff, type Observed } from "../../reconciler/plan.ts"
import { restrain } from "../../reconciler/policy.ts"
import { retiredDatabaseName, type TenantId } from "../../reconciler/tenant.ts"
import { ADA, BOB, CLEO, database, desired, entry, LENIENT, NOW, retired, secretOf } from "./samples.ts"

const ada = { id: ADA, name: "Ada" }
const isAt = (name: string, id: TenantId | null) => database(name, id)

/** What is planned, as "kind name: actions", and what is stalled, as "name: reason". */
function planned(wanted: Desired, observed: Observed): string[] {
  const circumstances = {
    unreadable: 0,
    desired: 10,
    fleet: 10,
    databases: observed.databases,
  }
  const { changes, stalls } = restrain(diff(wanted, observed, NOW), LENIENT, circumstances)
  return [
    ...changes.map(
      ({ kind, name, actions }) => `${kind} ${name}: ${actions.map((action) => action.kind).join(" ")}`,
    ),
    ...stalls.map(({ name, reason }) => `${name}: ${reason}`),
  ]
}

test("a new file: intent is written first, and the write that makes it served last", () => {
  const world = { databases: [], secrets: [] }
  expect(planned(desired(ada), world)).toEqual([
    "create Ada: reserve create secure migrate credential publish",
  ])
  expect(planned(desired({ ...ada, seed: "demo" }), world)).toEqual([
    "create Ada: reserve create secure migrate seed credential publish",
  ])
})

test("a tenant that is as declared: nothing to do", () => {
  const databases = [isAt("products-Ada", ADA)]
  expect(planned(desired(ada), { databases, secrets: [secretOf(entry(ADA, "Ada"))] })).toEqual([])
})

test.for<[string, Observed["databases"], string]>([
  ["no database at all", [], "DatabaseMissing"],
  ["a database of that name without a marker", [isAt("products-Ada", null)], "MarkerMismatch"],
  ["a database of that name that is another tenant's", [isAt("products-Ada", BOB)], "MarkerMismatch"],
  ["another database only", [isAt("products-Bob", BOB)], "DatabaseMissing"],
])(
  "the ledger knows a database, and there is %s: a person decides, and nothing is made in its place",
  ([, databases, reason]) => {
    const secrets = [secretOf(entry(ADA, "Ada")), secretOf(entry(BOB, "Bob"))]
    const bob = { ...desired(ada), held: new Set([BOB]) }
    expect(planned(bob, { databases, secrets })).toEqual([`Ada: ${reason}`])
  },
)

test("a retired tenant's file comes back, and its database is away: a person decides", () => {
  expect(planned(desired(ada), { databases: [], secrets: [secretOf(retired(ADA, "Ada", 1))] })).toEqual([
    "Ada: DatabaseMissing",
  ])
})

test.for<[string, Observed["secrets"][number]["entry"]]>([
  ["no entry of ours", undefined],
  ["another fleet's", entry(ADA, "Ada", { fleet: "another" })],
])("a secret of the tenant's name that is %s stalls the tenant", ([, found]) => {
  const secrets = [
    { name: `tenant-${ADA}`, enabled: true, owner: found?.fleet, entry: found, changedAt: NOW },
  ]
  for (const databases of [[], [isAt("products-Ada", ADA)]])
    expect(planned(desired(ada), { databases, secrets })).toEqual(["Ada: SecretTaken"])
})

test("a marker on a database that is not named as ours, without file and entry: an import is to be finished", () => {
  const databases = [isAt("legacy_shop", ADA)]
  expect(planned(desired(), { databases, secrets: [] })).toEqual(["legacy_shop: ImportUnfinished"])
  // The same under a tenant's name is a tenant that the vault has lost.
  expect(planned(desired(), { databases: [isAt("products-Ada", ADA)], secrets: [] })).toEqual([
    "repair Ada: reserve",
  ])
})

test("protection is recorded before anything that may wait", () => {
  const behind = secretOf(entry(ADA, "Ada", { schema: "0000:zz" }))
  for (const databases of [[isAt("products-Ada", ADA)], []])
    expect(planned(desired({ ...ada, protected: true }), { databases, secrets: [behind] })).toEqual([
      "update Ada: record",
    ])
})

test("whoever may not be removed gets new migrations like everybody else", () => {
  const behind = entry(ADA, "Ada", { protected: true, schema: "0000:zz" })
  const world = { databases: [isAt("products-Ada", ADA)], secrets: [secretOf(behind)] }
  expect(planned(desired(), world)).toEqual(["migrate Ada: migrate record"])
  expect(planned(desired(), { ...world, secrets: [secretOf({ ...behind, protected: false })] })).toEqual([
    "retire Ada: record close rename",
  ])
})

/** An entry of Ada's, served until now, that says that a purge is under way. */
const tagged = (more: object) => [
  { ...secretOf(entry(ADA, "Ada", { state: "purging", ...more })), enabled: true },
]

test("a tag that says that a purge is under way is not believed where it carries no approval, nor of what is served", () => {
  const databases = [isAt("products-Ada", ADA)]
  const repaired = ["repair Ada: secure credential publish"]
  expect(planned(desired(ada), { databases, secrets: tagged({}) })).toEqual(repaired)
  expect(planned(desired(), { databases, secrets: tagged({ protected: true }) })).toEqual(repaired)
  expect(planned(desired(), { databases, secrets: tagged({}) })).toEqual(["retire Ada: record close rename"])
  const shelf = [isAt(retiredDatabaseName(ADA), ADA)]
  const old = { ...retired(ADA, "Ada", 400), state: "purging" as const }
  expect(planned(desired(), { databases: shelf, secrets: [secretOf(old)] })).toEqual([
    "repair Ada: record secure close",
  ])
  const ours = { ...old, approval: { verb: "purge" as const, until: "2020-01-01T00:00:00.000Z" } }
  expect(planned(desired(), { databases: shelf, secrets: [secretOf(ours)] })).toEqual([
    "purge Ada: drop-roles drop forget",
  ])
})

test("databases and secrets that carry no sign of this fleet are left alone, whatever they are called", () => {
  const databases = [
    isAt("products-Zed", null),
    isAt(retiredDatabaseName(BOB), null),
    isAt("neondb", null),
    { name: "products-Far", marker: { fleet: "another", tenant: CLEO } },
  ]
  const secrets = [
    { name: "database-password", enabled: true, owner: undefined, entry: undefined, changedAt: NOW },
    secretOf(entry(CLEO, "Far", { fleet: "another" })),
  ]
  expect(planned(desired(), { databases, secrets })).toEqual([])
})

test("retired within the grace period: kept; after it: dropped, its roles and entry with it", () => {
  const databases = [isAt(retiredDatabaseName(ADA), ADA)]
  const see = (days: number) =>
    planned(desired(), { databases, secrets: [secretOf(retired(ADA, "Ada", days))] })
  expect(see(29)).toEqual([])
  expect(see(30)).toEqual([expect.stringMatching(/^purge Ada: .*\brecord drop-roles drop forget$/)])
})

test("the grace period is over, and on the shelf is something that is not the tenant's: it stays", () => {
  const databases = [isAt(retiredDatabaseName(ADA), null)]
  const secrets = [secretOf(retired(ADA, "Ada", 31))]
  expect(planned(desired(), { databases, secrets })).toEqual(["Ada: MarkerMismatch"])
})

test("tenants that a faulty file names are left as they are", () => {
  const wanted = { ...desired(), held: new Set([ADA]) }
  const databases = [isAt("products-Ada", ADA)]
  expect(planned(wanted, { databases, secrets: [] })).toEqual([])
  expect(planned(wanted, { databases, secrets: [secretOf(entry(ADA, "Ada"))] })).toEqual([])
})

test("one marker on two databases: a person decides which it is, in whatever order they are listed", () => {
  const copies = [isAt("products-Ada", ADA), isAt("products-Copy", ADA)]
  const secrets = [secretOf(entry(ADA, "Ada"))]
  const see = (databases: Observed["databases"]) => planned(desired(ada), { databases, secrets })
  expect(see(copies)).toEqual(see(copies.toReversed()))
})

test("an unmarked database that a reservation names may be the tenant's: it is secured before anything else", () => {
  const databases = [isAt("products-Ada", null)]
  const secrets = [secretOf(entry(ADA, "Ada", { state: "reserved", schema: "none" }))]
  expect(planned(desired({ id: ADA, name: "Bob" }), { databases, secrets })).toEqual([
    expect.stringMatching(/^create Bob: secure /),
  ])
})

test("two reservations of one new database do not hide that names go in a circle", () => {
  const databases = [isAt("products-Ada", ADA), isAt("products-Bob", null), isAt("products-Dan", null)]
  const entries = [BOB, CLEO].map((id) => entry(id, "Bob", { state: "reserved", schema: "none" }))
  const secrets = [secretOf(entry(ADA, "Ada")), ...entries.map(secretOf)]
  const wanted = desired({ id: ADA, name: "Bob" }, { id: BOB, name: "Ada" }, { id: CLEO, name: "Dan" })
  const renames = planned(wanted, { databases, secrets })
    .join(" ")
    .match(/ rename(?= )/g)
  expect(renames).toHaveLength(3)
})
