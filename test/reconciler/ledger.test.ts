import fc from "fast-check"
import { expect, test, vi } from "vitest"
import { fromTags, type LedgerEntry, toTags } from "../../reconciler/ledger.ts"
import { Hosts } from "../../reconciler/host-name.ts"
import { databaseName, secretName, TenantId, TenantName } from "../../reconciler/tenant.ts"

/** Thousands of runs on a busy machine. */
vi.setConfig({ testTimeout: 120_000 })

const id = TenantId.parse("78b0c444-49aa-4308-b35f-9ff530b31920")
const name = fc
  .string({ unit: "grapheme", minLength: 1, maxLength: 40 })
  .filter((text) => TenantName.safeParse(text).success)

/** As a tenant's file may name them; one for the whole tag too. */
const hosts = fc.oneof(
  fc.uniqueArray(fc.domain({ size: "-1" }), { minLength: 1, maxLength: 5 }),
  fc.constant([`${"a".repeat(63)}.`.repeat(3) + "b".repeat(61)]),
)
const entry: fc.Arbitrary<LedgerEntry> = fc.record({
  id: fc.uuid().map((text) => TenantId.parse(text)),
  fleet: fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/),
  name,
  cell: fc.stringMatching(/^[a-z0-9-]{1,60}$/),
  database: name.map(databaseName),
  state: fc.constantFrom("reserved", "active", "retired"),
  schema: fc.stringMatching(/^(none|\d{4}:[0-9a-f]{16})$/),
  slot: fc.constantFrom("a", "b"),
  transition: fc.constantFrom("renaming", undefined),
  retiredAt: fc.option(
    fc
      .date({ noInvalidDate: true, min: new Date(0), max: new Date("2999-01-01") })
      .map((date) => date.toISOString()),
    { nil: undefined },
  ),
  hosts: fc.option(
    hosts.filter((all) => Hosts.safeParse(all).success),
    { nil: undefined },
  ),
})

test("an entry is read from its tags as it was written, and the tags fit Key Vault", () => {
  fc.assert(
    fc.property(entry, (written) => {
      const tags = toTags(written)
      expect(fromTags(secretName(written.id), tags)).toEqual(written)
      expect(Object.keys(tags).length).toBeLessThanOrEqual(15)
      for (const text of Object.entries(tags).flat()) expect(text.length).toBeLessThanOrEqual(256)
    }),
    { numRuns: 2000 },
  )
})

const GOOD = toTags({
  id,
  fleet: "sample",
  name: "Ada",
  cell: "c",
  database: "products-Ada",
  state: "active",
  schema: "none",
  slot: "a",
})

test.for<[string, Record<string, string | undefined>]>([
  ["another manager", { "managed-by": "terraform" }],
  ["no manager", { "managed-by": undefined }],
  ["no fleet", { fleet: undefined }],
  ["an empty fleet", { fleet: "" }],
  ["a state of its own", { state: "deleted" }],
  ["a third slot", { slot: "c" }],
  ["a transition of its own", { transition: "moving" }],
  ["a date that is none", { "retired-at": "yesterday" }],
])("a secret with %s is no entry", ([, change]) => {
  const tags = Object.entries({ ...GOOD, ...change }).filter(([, text]) => text !== undefined)
  expect(fromTags(secretName(id), Object.fromEntries(tags) as Record<string, string>)).toBeUndefined()
})

test("a tag of hosts that was edited by hand is read as it is, and an empty one is none", () => {
  const hostsOf = (text: string) => fromTags(secretName(id), { ...GOOD, hosts: text })?.hosts
  expect(hostsOf("b.example  a.example ?")).toEqual(["b.example", "a.example", "?"])
  expect(hostsOf(" ")).toBeUndefined()
})

test("tags that others add are no harm; without tags there is no entry", () => {
  expect(fromTags(secretName(id), { ...GOOD, costCenter: "7" })).toEqual(fromTags(secretName(id), GOOD))
  expect(fromTags(secretName(id), undefined)).toBeUndefined()
  expect(fromTags(secretName(id), {})).toBeUndefined()
})

test.for([id, `tenants-${id}`, `tenant-${id}-old`, "tenant-", `tenant-tenant-${id}`, "database-password"])(
  "the tags of the secret %s make no entry",
  (secret) => {
    expect(fromTags(secret, GOOD)).toBeUndefined()
  },
)

test("no tag holds anything but the entry", () => {
  expect(GOOD).toEqual({
    "managed-by": "tenantry",
    fleet: "sample",
    tenant: "Ada",
    cell: "c",
    database: "products-Ada",
    state: "active",
    schema: "none",
    slot: "a",
  })
})
