import { describe, expect, test } from "vitest"
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
      "update Ada: annotate",
    ])
})

const BOTH = [isAt("products-Ada", ADA), isAt("products-Bob", BOB)]

/** The same with the hosts that each write to the ledger tells, and what waits or is stalled for which reason. */
function whole(wanted: Desired, secrets: Observed["secrets"], there: Observed["databases"] = BOTH) {
  const plan = restrain(diff(wanted, { databases: there, secrets }, NOW), LENIENT, {
    unreadable: 0,
    desired: 10,
    fleet: 10,
    databases: there,
  })
  return [
    ...plan.changes.map(({ kind, name, actions }) => {
      const said = actions.map((one) =>
        "entry" in one ? `${one.kind}[${one.entry.hosts?.join(",") ?? ""}]` : one.kind,
      )
      return `${kind} ${name}: ${said.join(" ")}`
    }),
    ...plan.withheld.map(({ change, reason }) => `${reason}: ${change.kind} ${change.name}`),
    ...plan.stalls.map(({ name, reason, message }) => `${reason}: ${name}: ${message}`),
  ]
}

const having = (hosts: string[], more: object = {}) => secretOf(entry(ADA, "Ada", { hosts, ...more }))

describe("hosts", () => {
  const [shop, bob] = ["shop.example", { id: BOB, name: "Bob" }]
  const bobs = secretOf(entry(BOB, "Bob"))

  test("that are as declared, in whatever order: nothing to do; else one record says so", () => {
    const wanted = desired({ ...ada, hosts: ["b.example", "a.example"] })
    const see = (hosts: string[]) => whole(wanted, [having(hosts)], BOTH.slice(0, 1))
    expect(see(["a.example", "b.example"])).toEqual([])
    expect(see([])).toEqual(["update Ada: record[a.example,b.example]"])
    expect(see(["a.example", "x.example"])).toEqual(["update Ada: record[a.example,b.example]"])
    expect(whole(desired(ada), [having([shop])], BOTH.slice(0, 1))).toEqual(["update Ada: record[]"])
  })

  test("are recorded first of all, whatever else is to be done and whatever holds that up", () => {
    const wanted = desired({ id: ADA, name: "Zed", hosts: [shop] })
    const see = (there: Observed["databases"], more: object = {}) => whole(wanted, [having([], more)], there)
    expect(see(BOTH.slice(0, 1))).toEqual([
      "rename Zed: record[shop.example] close rename credential publish[shop.example]",
    ])
    expect(see([BOTH[0]!, isAt("products-Zed", null)])).toEqual([
      "update Zed: record[shop.example]",
      expect.stringMatching(/^NameTaken: Zed: /),
    ])
    expect(see([])).toEqual(["update Zed: record[shop.example]"])
    expect(see([isAt("products-Zed", ADA)], { database: "products-Zed", schema: "0000:zz" })).toEqual([
      "migrate Zed: record[shop.example] migrate record[shop.example]",
    ])
  })

  test("that another tenant gives up in this plan follow in the next", () => {
    const secrets = [having([shop]), bobs]
    expect(whole(desired(ada, { ...bob, hosts: [shop] }), secrets)).toEqual([
      "update Ada: record[]",
      "HostNotFree: update Bob",
    ])
    expect(whole(desired({ ...bob, hosts: [shop] }), secrets)).toEqual([
      "retire Ada: record[shop.example] close rename",
      "HostNotFree: update Bob",
    ])
    const swapped = desired({ ...ada, hosts: ["b.example"] }, { ...bob, hosts: [shop] })
    const both = [having([shop]), secretOf(entry(BOB, "Bob", { hosts: ["b.example"] }))]
    expect(whole(swapped, both)).toEqual([
      "update Ada: record[]",
      "update Bob: record[]",
      "HostNotFree: update Ada",
      "HostNotFree: update Bob",
    ])
  })

  test.for<[why: string, entries: object, also: Partial<Desired>]>([
    ["is protected and has no file", { protected: true }, {}],
    ["has a faulty file", {}, { held: new Set([ADA]) }],
    ["is suspended, has no file and is protected", { state: "suspended", protected: true }, {}],
  ])("that belong to a tenant who %s do not change hands, and a person is told", ([, more, also]) => {
    const wanted = { ...desired({ ...bob, hosts: [shop, "b.example"] }), ...also }
    const said = whole(wanted, [having([shop], more), bobs])
    expect(said).toContain("update Bob: record[b.example]")
    expect(said.at(-1)).toBe(
      `HostTaken: Bob: the host shop.example still leads to Ada (${ADA}): take it out of this file, or see in "tenantry status" why that tenant keeps it`,
    )
  })

  test("of a retired tenant are free, and are not taken back from who has them when it returns", () => {
    const shelf = [isAt(retiredDatabaseName(ADA), ADA), BOTH[1]!]
    const past = secretOf({ ...retired(ADA, "Ada", 1), hosts: [shop] })
    expect(whole(desired({ ...bob, hosts: [shop] }), [past, bobs], shelf)).toEqual([
      "update Bob: record[shop.example]",
    ])
    const owner = secretOf(entry(BOB, "Bob", { hosts: [shop] }))
    const back = desired({ ...ada, hosts: [shop] }, bob)
    expect(whole(back, [past, owner], shelf)).toEqual([
      "restore Ada: record[shop.example] secure close rename credential publish[]",
      "update Bob: record[]",
      "HostNotFree: update Ada",
    ])
    expect(whole(back, [past, bobs], shelf)).toEqual([
      "restore Ada: record[shop.example] secure close rename credential publish[shop.example]",
    ])
  })

  test("that a hand wrote into another tenant's tags are taken from there, not from their tenant", () => {
    const owner = secretOf(entry(BOB, "Bob", { hosts: [shop] }))
    expect(whole(desired(ada, { ...bob, hosts: [shop] }), [having([shop]), owner])).toEqual([
      "update Ada: record[]",
      "HostNotFree: update Bob",
    ])
  })
})

test("a tenant that is suspended while its lost entry is put right loses its logins too", () => {
  const databases = [isAt("products-Ada", ADA)]
  const [repair] = diff(desired(ada), { databases, secrets: [] }, NOW).changes
  const announced = repair!.actions.find((action) => action.kind === "reserve")!.entry
  const secrets = [secretOf(announced)]
  expect(planned(desired(ada), { databases, secrets })).toEqual(["resume Ada: migrate credential publish"])
  expect(planned(desired({ ...ada, suspended: true }), { databases, secrets })).toEqual([
    "suspend Ada: record close record",
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
    { cell: "cell-1", name: "products-Far", marker: { fleet: "another", tenant: CLEO } },
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
