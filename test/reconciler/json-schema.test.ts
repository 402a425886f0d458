import { readFileSync } from "node:fs"
import path from "node:path"
import { Ajv2020 } from "ajv/dist/2020.js"
import { expect, test } from "vitest"
import { parse } from "yaml"
import { renderJsonSchema } from "../../reconciler/json-schema.ts"

const root = path.resolve(import.meta.dirname, "../..")
const read = (file: string) => readFileSync(path.join(root, file), "utf8")

test.for(["tenant", "fleet"] as const)("%s.schema.json is what the code validates by", (name) => {
  expect(read(`${name}.schema.json`)).toBe(`${renderJsonSchema(name)}\n`)
})

test.for([
  ["tenant", "tenants/shopify.yaml"],
  ["fleet", "fleet.yaml"],
] as const)(
  "an editor that follows the %s schema accepts our own file, and underlines a misspelt key",
  ([name, file]) => {
    const validate = new Ajv2020({ strict: false }).compile(JSON.parse(read(`${name}.schema.json`)) as object)
    const content = parse(read(file)) as object
    expect(validate(content)).toBe(true)
    expect(validate({ ...content, misspelt: true })).toBe(false)
  },
)

test.for([
  ["shop.brand.example", true],
  ["Shop.Brand.example", true],
  ["*.brand.example", false],
  ["10.0.0.1", false],
  ["brand.example:443", false],
] as const)(
  "an editor that follows the tenant schema says of the host %s that it is good: %s",
  ([host, is]) => {
    const validate = new Ajv2020({ strict: false }).compile(JSON.parse(read("tenant.schema.json")) as object)
    expect(validate({ ...(parse(read("tenants/shopify.yaml")) as object), hosts: [host] })).toBe(is)
  },
)
