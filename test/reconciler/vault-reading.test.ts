import fc from "fast-check"
import { expect, test } from "vitest"
import { createReading, toSecret } from "../../reconciler/providers/vault-reading.ts"

const ID = "78b0c444-49aa-4308-b35f-9ff530b31920"
const WHOLE = {
  "managed-by": "tenantry",
  fleet: "local",
  tenant: "Shop",
  cell: "cell",
  database: "products-Shop",
  state: "active",
  schema: "one",
  slot: "a",
}
const changes = fc.record(
  { state: fc.constantFrom("active", "retired"), protected: fc.constantFrom("true", "no") },
  { requiredKeys: [] },
)
const properties = fc.record(
  {
    name: fc.constantFrom(`tenant-${ID}`, "another"),
    enabled: fc.boolean(),
    tags: changes.map((some): Record<string, string> => ({ ...WHOLE, ...some })),
    createdOn: fc.constantFrom(new Date(0), new Date(1000)),
    updatedOn: fc.constantFrom(new Date(0), new Date(1000)),
  },
  { requiredKeys: ["name"] },
)

test("a secret means what its properties say now, whatever they said in the lists before", () => {
  fc.assert(
    fc.property(fc.array(fc.array(properties, { maxLength: 3 }), { maxLength: 8 }), (lists) => {
      const reading = createReading()
      for (const list of lists) {
        for (const one of list) {
          const listed = { vaultUrl: "https://vault", ...one }
          expect(reading.of(listed)).toEqual(toSecret(listed))
        }
        reading.rest()
      }
    }),
  )
})

test("what is as it was in the list before is the same value", () => {
  const reading = createReading()
  const listed = () => ({ vaultUrl: "https://vault", name: `tenant-${ID}`, tags: { ...WHOLE } })
  const first = reading.of(listed())
  reading.rest()
  expect(reading.of(listed())).toBe(first)
})
