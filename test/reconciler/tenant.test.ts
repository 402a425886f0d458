import fc from "fast-check"
import { expect, test } from "vitest"
import {
  databaseName,
  formatMarker,
  groupRole,
  loginRole,
  nameKey,
  otherSlot,
  parseMarker,
  retiredDatabaseName,
  secretName,
  TenantId,
  TenantName,
  transitDatabaseName,
} from "../../reconciler/tenant.ts"

const id = TenantId.parse("78b0c444-49aa-4308-b35f-9ff530b31920")
const ids = fc.uuid().map((text) => TenantId.parse(text))
const fleets = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/)
const names = fc
  .string({ unit: "grapheme", minLength: 1, maxLength: 30 })
  .filter((name) => TenantName.safeParse(name).success)

test("an id is lower case, however it is written", () => {
  expect(TenantId.parse("78B0C444-49AA-4308-B35F-9FF530B31920")).toBe(id)
  expect(TenantId.safeParse(`${id} `).success).toBe(false)
  expect(TenantId.safeParse(id.slice(1)).success).toBe(false)
})

test("every derived name fits Postgres and Key Vault, and no two kinds share one", () => {
  fc.assert(
    fc.property(names, ids, (name, tenant) => {
      const databases = [databaseName(name), retiredDatabaseName(tenant), transitDatabaseName(tenant)]
      for (const each of [...databases, loginRole(tenant, "a"), loginRole(tenant, "b"), groupRole(tenant)])
        expect(Buffer.byteLength(each)).toBeLessThanOrEqual(63)
      expect(new Set(databases).size).toBe(3)
      expect(secretName(tenant)).toMatch(/^[0-9a-zA-Z-]{1,127}$/)
    }),
  )
  expect(Buffer.byteLength(databaseName("é".repeat(27)))).toBe(63)
  expect(TenantName.safeParse("é".repeat(27)).success).toBe(true)
})

test.for([
  "..",
  ".",
  "a/b",
  "a b",
  "a%2Fb",
  "-a",
  "a-",
  "_a",
  "a\u0000b",
  "a\nb",
  "a'b",
  'a"b',
  "a;b",
  "a:b",
  "a?b",
  "a#b",
  "\u202Ea",
  "",
])("%j is no name: it would mean something else in a URL, in SQL or to the eye", (name) => {
  expect(TenantName.safeParse(name).success).toBe(false)
})

test.for(["Shopify", "north-wind", "a", "7", "2024-01-01", "Ωmega_7", "日本", "Zoë"])(
  "%s is a name",
  (name) => {
    expect(TenantName.parse(name)).toBe(name)
  },
)

test("names that a person takes for one have one key", () => {
  expect(nameKey("ACME")).toBe(nameKey("acme"))
  expect(nameKey("Ａcme")).toBe(nameKey("acme"))
  expect(nameKey("acme")).not.toBe(nameKey("acme2"))
})

test("a marker is read as it was written", () => {
  fc.assert(
    fc.property(fleets, ids, (fleet, tenant) => {
      expect(parseMarker(formatMarker({ fleet, tenant }))).toEqual({ fleet, tenant })
    }),
  )
})

test.for([
  null,
  "",
  "sales database",
  `tenantry/2 fleet=sample tenant=${id}`,
  `tenantry/1 fleet= tenant=${id}`,
  `tenantry/1 fleet=sample tenant=${id.slice(1)}`,
  `tenantry/1 fleet=sample tenant=${"-".repeat(36)}`,
  `tenantry/1 fleet=sample tenant=${id} and more`,
  ` tenantry/1 fleet=sample tenant=${id}`,
  `tenantry/1 fleet=sample tenant=${id}\nx`,
  `tenantry/1 fleet=Sample tenant=${id}`,
])("the comment %j is no marker of ours", (comment) => {
  expect(parseMarker(comment)).toBeUndefined()
})

test("the other slot of the other slot is the slot", () => {
  expect([otherSlot("a"), otherSlot("b")]).toEqual(["b", "a"])
})
