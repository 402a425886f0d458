import { afterAll, beforeAll, expect, test } from "vitest"
import { type Api, startWorld, type TestTenant, type World } from "./world.ts"

let world: World
let api: Api
let shop: TestTenant

beforeAll(async () => {
  world = await startWorld()
  shop = await world.addTenant("Shop", { seed: true })
  api = await world.serve()
}, 60_000)
afterAll(async () => {
  await api?.close()
  await world?.close()
})

const change = (method: string, target: string, etag: string, body?: unknown) =>
  api.call(shop, method, target, body, { "If-Match": etag })

/** Each kind of thing, and how one of it is changed. */
const THINGS = [
  ["a product", () => "/products/1", "PATCH", "", { price: 2 }],
  ["a user", () => "/users/1", "PATCH", "", { name: "Somebody" }],
  [
    "a cart",
    async () => {
      const { body } = await api.call(shop, "POST", "/carts", { userId: 2 })
      await api.call(shop, "POST", `/carts/${body.id}/items`, { productId: 2, quantity: 1 })
      return `/carts/${body.id}`
    },
    "PUT",
    "/items/2",
    { quantity: 7 },
  ],
] as const

test.each(THINGS)(
  "%s is changed by who has seen it as it is, and by nobody else",
  async (_, make, method, below, body) => {
    const at = await make()
    const seen = (await api.call(shop, "GET", at)).headers.get("etag")!
    expect((await api.call(shop, "GET", at)).headers.get("etag")).toBe(seen)
    const first = await change(method, at + below, `"other", ${seen}`, body)
    expect(first.status).toBe(200)
    const now = first.headers.get("etag")!
    expect(now).not.toBe(seen)
    const before = (await api.call(shop, "GET", at)).body
    for (const [verb, target, sent] of [
      [method, at + below, body],
      ["DELETE", at, undefined],
    ] as const) {
      for (const stale of [seen, `W/${now}`, '""']) {
        const late = await change(verb, target, stale, sent)
        expect(late).toMatchObject({ status: 412, body: { type: "/problems/changed-meanwhile" } })
        expect(late.headers.get("etag")).toBe(now)
      }
    }
    expect((await api.call(shop, "GET", at)).body).toEqual(before)
    expect((await change(method, at + below, "*", body)).status).toBe(200)
  },
)

test("of many who change what they all have seen, one succeeds", async () => {
  const seen = (await api.call(shop, "GET", "/products/9")).headers.get("etag")!
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, n) => change("PATCH", "/products/9", seen, { description: `by ${n}` })),
  )
  expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([
    200,
    ...Array.from({ length: 19 }, () => 412),
  ])
})

test("without If-Match the last one wins: it is If-Match that holds the others back", async () => {
  const answers = await Promise.all(
    Array.from({ length: 5 }, (_, n) => api.call(shop, "PATCH", "/products/10", { description: `by ${n}` })),
  )
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
})

test("who has it already is told so, without a body", async () => {
  const { headers } = await api.call(shop, "GET", "/products/3")
  const again = await api.call(shop, "GET", "/products/3", undefined, {
    "If-None-Match": headers.get("etag")!,
  })
  expect(again).toMatchObject({ status: 304, body: undefined })
  expect((await api.call(shop, "GET", "/products/3", undefined, { "If-None-Match": '"v99"' })).status).toBe(
    200,
  )
})

test("a change of what is gone is 404, and a header that is no list of ETags is 400", async () => {
  expect((await change("PATCH", "/products/99999", '"v1"', { price: 1 })).status).toBe(404)
  for (const etag of ["v1", '"v1', '"v1" "v2"', `"${"x".repeat(200)}"`, Array(30).fill('"a"').join()])
    expect((await change("PATCH", "/products/1", etag, { price: 1 })).status, etag).toBe(400)
})
