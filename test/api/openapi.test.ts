import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import path from "node:path"
import { Ajv2020 } from "ajv/dist/2020.js"
import addFormats from "ajv-formats"
import * as fc from "fast-check"
import { afterAll, beforeAll, expect, test } from "vitest"
import { PROBLEMS } from "../../api/problems.ts"
import { type Answer, type Api, newTenantId, startWorld, type TestTenant, type World } from "./world.ts"

type Schema = Record<string, any> // oxlint-disable-line typescript/no-explicit-any -- JSON Schema of every shape
type Parameter = { name: string; in: "path" | "query" | "header"; schema: Schema }
type Operation = {
  operationId: string
  parameters: Parameter[]
  requestBody?: { content: { "application/json": { schema: Schema } } }
  responses: Record<string, { content?: Record<string, { schema: Schema }> }>
}
type Document = { openapi: string; paths: Record<string, Record<string, Operation>> }

let world: World
let api: Api
let shop: TestTenant
let folder: string
let document: Document

beforeAll(async () => {
  world = await startWorld()
  folder = await mkdtemp(path.join(tmpdir(), "tenantry-tenants-"))
  shop = await world.addTenant("Shop", { seed: true })
  api = await world.serve({ folder })
  document = (await api.send("/openapi.json")).body
}, 60_000)
afterAll(async () => {
  await api?.close()
  await world?.close()
  await rm(folder, { recursive: true, force: true })
})

/** Throws unless the document says that this operation may answer so. */
function createJudge() {
  const ajv = (addFormats as unknown as (ajv: Ajv2020) => Ajv2020)(
    new Ajv2020({ strict: false, allErrors: true }),
  )
  ajv.addSchema(document, "api")
  return (at: string, method: string, answer: Answer) => {
    const context = `${method} ${at} ${answer.status} ${JSON.stringify(answer.body)?.slice(0, 500)}`
    const said = document.paths[at]![method]!.responses[answer.status]
    expect(said, context).toBeDefined()
    const type = answer.headers.get("content-type")?.split(";")[0]
    if (!said!.content) return expect(answer.body, context).toBeUndefined()
    expect(Object.keys(said!.content), context).toEqual([type])
    const pointer = ["paths", at, method, "responses", String(answer.status), "content", type!, "schema"]
    const reference = pointer.map((part) => part.replaceAll("~", "~0").replaceAll("/", "~1")).join("/")
    const validate = ajv.getSchema(`api#/${encodeURI(reference)}`)!
    expect(validate(answer.body), `${context}\n${JSON.stringify(validate.errors)}`).toBe(true)
  }
}

const HOSTILE = [
  "",
  " ",
  "0",
  "-1",
  "1e9",
  "NaN",
  "1.005",
  "null",
  "true",
  "undefined",
  "[object Object]",
  "__proto__",
  "constructor",
  "' or 1=1 --",
  "1; drop table products",
  "${7*7}",
  "{{7*7}}",
  "../../etc/passwd",
  "%00",
  "\u0000",
  "\uFFFF",
  "\ud800",
  "💥".repeat(60),
  "a".repeat(5000),
  "<script>alert(1)</script>",
  "9007199254740993",
  "99999999999999999999",
  "\r\nX: y",
]
const hostile = fc.oneof(fc.constantFrom(...HOSTILE), fc.string({ unit: "binary", maxLength: 30 }))

/** Values as the schema wants them, mostly, so that requests come through to the database. */
function valuesOf(schema: Schema): fc.Arbitrary<unknown> {
  if (schema["enum"]) return fc.constantFrom(...(schema["enum"] as unknown[]))
  if (schema["anyOf"]) return fc.oneof(...(schema["anyOf"] as Schema[]).map(valuesOf))
  switch (schema["type"]) {
    case "integer":
      return mostly(fc.integer({ min: 1, max: 60 }), fc.integer({ min: -5, max: 2 ** 53 }))
    case "number":
      return fc.oneof(
        fc.integer({ min: 0, max: 10_000 }).map((cents) => cents / 100),
        fc.double(),
      )
    case "string":
      return fc.oneof(
        ...(schema["pattern"] && !/\\p/.test(schema["pattern"])
          ? [fc.stringMatching(new RegExp(schema["pattern"]))]
          : []),
        fc.string({ maxLength: Math.min(schema["maxLength"] ?? 20, 20) }),
        fc.constantFrom("Anvil", "ada@example.com", "demo"),
      )
    case "object": {
      const properties = (schema["properties"] ?? {}) as Record<string, Schema>
      const required = (schema["required"] ?? []) as string[]
      return fc.record(
        Object.fromEntries(Object.entries(properties).map(([key, value]) => [key, valuesOf(value)])),
        { requiredKeys: required },
      )
    }
    default:
      return fc.jsonValue()
  }
}

const mostly = <A, B>(usual: fc.Arbitrary<A>, odd: fc.Arbitrary<B>) =>
  fc.oneof({ weight: 12, arbitrary: usual }, { weight: 1, arbitrary: odd })

/** A header's value that fetch will send. */
const sendable = (text: string) => text.replaceAll(/[^\x20-\x7e]/g, "?").trim()

/** Requests of one operation, with what the document wants and what it does not want. */
function requestsOf(at: string, method: string, { parameters, requestBody }: Operation) {
  const of = (place: Parameter["in"], requiredKeys: string[]) =>
    fc.record(
      Object.fromEntries(
        parameters
          .filter((parameter) => parameter.in === place && parameter.name !== "X-TenantId")
          .map(({ name, schema }) => [name, mostly(valuesOf(schema).map(String), hostile)]),
      ),
      { requiredKeys },
    )
  const names = parameters.filter((parameter) => parameter.in === "path").map(({ name }) => name)
  const schema = requestBody?.content["application/json"].schema
  return fc.record({
    at: fc.constant(at),
    method: fc.constant(method),
    path: of("path", names),
    query: mostly(of("query", []), fc.dictionary(hostile, hostile, { maxKeys: 3 })),
    headers: mostly(fc.constant<Record<string, string>>({}), of("header", [])),
    body: schema
      ? mostly(
          valuesOf(schema).map((value) => JSON.stringify(value)),
          fc.oneof(fc.json({ maxDepth: 4 }), hostile),
        )
      : fc.constant(undefined),
    tenant: mostly(fc.constant(undefined), hostile),
  })
}

const sound = (method: string, at: string, body?: object, inPath: Record<string, string> = {}) => {
  const text = body && JSON.stringify(body)
  return [{ at, method, path: inPath, query: {}, headers: {}, body: text, tenant: undefined }] as [never]
}
/** What chance alone may miss: requests with which nothing is wrong. */
const SOUND = [
  sound("post", "/products", { name: "Anvil", price: 12.5 }),
  sound("get", "/products"),
  sound("patch", "/products/{id}", { price: 3 }, { id: "1" }),
  sound("post", "/users", { name: "Sound", email: "sound@example.com" }),
  sound("post", "/tenants", { name: "Sound" }),
  sound("patch", "/tenants/{name}", { hosts: ["sound.example"] }, { name: "Sound" }),
]

test("every request made from the document gets an answer that the document knows, and none is a 500", async () => {
  const judge = createJudge()
  const operations = Object.entries(document.paths).flatMap(([at, methods]) =>
    Object.entries(methods).map(([method, operation]) => requestsOf(at, method, operation)),
  )
  const seen = new Map<string, number>()
  await fc.assert(
    fc.asyncProperty(fc.oneof(...operations), async (request) => {
      const { at, method, query, body, headers, tenant } = request
      const target = at.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
        encodeURIComponent((request.path[name] ?? "x").toWellFormed()).replaceAll(".", "%2e"),
      )
      // An empty segment or one of dots only is another path.
      if (/\/(?:\/|$|(?:%2e){1,2}(?:\/|$))/i.test(target)) return
      const search = new URLSearchParams()
      for (const [key, value] of Object.entries<string>(query))
        search.append(key.toWellFormed(), value.toWellFormed())
      if (at.startsWith("/tenants")) search.set("wait", "0")
      const answer = await api.send(`${target}?${search.toString()}`, {
        method: method.toUpperCase(),
        headers: {
          "X-TenantId": sendable(tenant ?? shop.id),
          ...(body === undefined ? {} : { "Content-Type": "application/json" }),
          ...Object.fromEntries(Object.entries(headers).map(([key, value]) => [key, sendable(value)])),
        },
        ...(body === undefined ? {} : { body: body.toWellFormed() }),
      })
      const key = `${method} ${at} ${answer.status}`
      seen.set(key, (seen.get(key) ?? 0) + 1)
      expect(
        answer.status,
        `${key} ${target} ${body} ${JSON.stringify(answer.body)} ${api.logged.at(-1)}`,
      ).not.toBe(500)
      judge(at, method, answer)
    }),
    { numRuns: 1500, examples: SOUND },
  )
  const succeeded = [...seen.keys()].filter((key) => /20\d$/.test(key)).map((key) => key.slice(0, -4))
  for (const needed of [
    "post /products",
    "get /products",
    "patch /products/{id}",
    "post /users",
    "post /tenants",
    "patch /tenants/{name}",
  ])
    expect(succeeded, [...seen].join(" | ")).toContain(needed)
}, 60_000)

test("an answer that the document does not know is seen: the judge can say no", async () => {
  const judge = createJudge()
  const { headers } = await api.call(shop, "POST", "/products", { name: "Anvil", price: 1 })
  const answer = await api.call(shop, "GET", headers.get("location")!)
  judge("/products/{id}", "get", answer)
  expect(() => judge("/products/{id}", "get", { ...answer, body: { ...answer.body, secret: 1 } })).toThrow(
    "secret",
  )
  expect(() => judge("/products/{id}", "get", { ...answer, status: 418 })).toThrow("418")
})

test("each tenant's and each problem's answers are as the document says", async () => {
  const judge = createJudge()
  for (const state of ["suspended", "retired", "reserved"] as const) {
    const id = newTenantId()
    world.vault.set(id, { state })
    judge("/products", "get", await api.call({ id }, "GET", "/products"))
  }
  const known = JSON.stringify(document)
  const unused = Object.keys(PROBLEMS).filter((key) => !known.includes(`/problems/${key}"`))
  // What Node refuses comes before any operation.
  const early = ["head-too-large", "request-too-slow", "expectation-unknown"]
  expect(unused).toEqual([...early, "problem-not-found"])
})

test("the document has an id for each operation, and a page without a script shows them all", async () => {
  expect(document.openapi).toBe("3.1.0")
  const ids = Object.values(document.paths).flatMap((methods) =>
    Object.values(methods).map((one) => one.operationId),
  )
  expect(new Set(ids).size).toBe(ids.length)
  const response = await fetch(`${api.url}/docs`)
  expect(response.headers.get("content-type")).toBe("text/html; charset=utf-8")
  const page = await response.text()
  for (const at of Object.keys(document.paths)) expect(page).toContain(` ${at}</code>`)
  expect(page).not.toMatch(/<script|https?:\/\//)
})
