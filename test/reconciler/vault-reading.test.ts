import fc from "fast-check"
import { expect, test } from "vitest"
import { createReader, toSecret } from "../../reconciler/providers/vault-reading.ts"

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
      const read = createReader()
      for (const [index, list] of lists.entries()) {
        const reading = read()
        for (const one of list) {
          const listed = { vaultUrl: "https://vault", ...one }
          expect(reading.add(listed)).toEqual(toSecret(listed))
        }
        // A list that was cut short is not kept.
        if (index % 3 !== 2) reading.keep()
      }
    }),
  )
})

test("what is as it was in the list before is the same value", () => {
  const read = createReader()
  const [first, other] = [`tenant-${ID}`, "another"].map((name) => ({
    vaultUrl: "https://vault",
    name,
    tags: { ...WHOLE },
  }))
  const once = read()
  const before = [once.add(first!), once.add(other!)]
  once.keep()
  const again = read()
  const after = [again.add({ ...other!, tags: { ...WHOLE } }), again.add({ ...first!, tags: { ...WHOLE } })]
  expect(after[1]).toBe(before[0])
  expect(after[0]).toBe(before[1])
})
