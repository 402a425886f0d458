import { afterAll, beforeAll, expect, test } from "vitest"
import { type Api, startWorld, type TestTenant, type World } from "./world.ts"

let world: World
let api: Api
let shop: TestTenant
let other: TestTenant

beforeAll(async () => {
  world = await startWorld()
  shop = await world.addTenant("Shop")
  other = await world.addTenant("Other")
  api = await world.serve()
}, 60_000)
afterAll(async () => {
  await api?.close()
  await world?.close()
})

const add = (name: string, email = `${name}@example.com`) => api.call(shop, "POST", "/users", { name, email })

test("a user is added, found, changed and deleted, and no other tenant knows of it", async () => {
  const made = await add("Ada")
  expect(made).toMatchObject({ status: 201, body: { name: "Ada", email: "Ada@example.com" } })
  const at = made.headers.get("location")!
  expect(at).toBe(`/users/${made.body.id}`)
  expect((await api.call(shop, "GET", at)).body).toEqual(made.body)
  expect((await api.call(other, "GET", at)).status).toBe(404)
  const renamed = await api.call(shop, "PATCH", at, { name: "Ada L." })
  expect(renamed.body).toEqual({ ...made.body, name: "Ada L." })
  expect((await api.call(shop, "DELETE", at)).status).toBe(204)
  for (const [method, body] of [["GET"], ["PATCH", { name: "x" }], ["DELETE"]] as const) {
    expect(await api.call(shop, method, at, body)).toMatchObject({
      status: 404,
      body: { type: "/problems/user-not-found" },
    })
  }
})

test("an address belongs to one user of a tenant, however it is capitalised", async () => {
  const first = await add("Bea", "bea@example.com")
  const second = await add("Cy", "cy@example.com")
  const taken = { status: 409, body: { type: "/problems/email-taken" } }
  expect(await add("Bea 2", "BEA@example.com")).toMatchObject(taken)
  expect(
    await api.call(shop, "PATCH", `/users/${second.body.id}`, { email: "Bea@Example.com" }),
  ).toMatchObject(taken)
  expect(
    (await api.call(shop, "PATCH", `/users/${first.body.id}`, { email: "BEA@example.com" })).status,
  ).toBe(200)
  expect((await api.call(other, "POST", "/users", { name: "Bea", email: "bea@example.com" })).status).toBe(
    201,
  )
})

test("of many who ask for one address at once, one gets it", async () => {
  const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => add(`Dup ${n}`, "dup@example.com")))
  expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([
    201,
    ...Array.from({ length: 19 }, () => 409),
  ])
})

test("a user who has carts is not deleted, and the answer names the carts", async () => {
  const { body: user } = await add("Cara")
  const { body: cart } = await api.call(shop, "POST", "/carts", { userId: user.id })
  expect(await api.call(shop, "DELETE", `/users/${user.id}`)).toMatchObject({
    status: 409,
    body: { type: "/problems/user-in-use", carts: [cart.id] },
  })
  await api.call(shop, "DELETE", `/carts/${cart.id}`)
  expect((await api.call(shop, "DELETE", `/users/${user.id}`)).status).toBe(204)
})

test("a user gets a cart or is deleted, never both", async () => {
  const users = await Promise.all(
    Array.from({ length: 20 }, (_, n) => add(`Contested ${n}`, `contested${n}@example.com`)),
  )
  await Promise.all(
    users.map(async ({ body: { id } }) => {
      const [made, deleted] = await Promise.all([
        api.call(shop, "POST", "/carts", { userId: id }),
        api.call(shop, "DELETE", `/users/${id}`),
      ])
      expect([
        [201, 409],
        [422, 204],
      ]).toContainEqual([made.status, deleted.status])
    }),
  )
})

test.each([
  [{ name: "x" }, "email"],
  [{ name: "x", email: "x" }, "email"],
  [{ name: "x", email: "@example.com" }, "email"],
  [{ name: "x", email: "a b@example.com" }, "email"],
  [{ name: "x", email: `${"a".repeat(320)}@b` }, "email"],
  [{ name: " ", email: "x@example.com" }, "name"],
  [{ name: "x", email: "x@example.com", admin: true }, "admin"],
])("the body %j is refused, and %s is named", async (body, field) => {
  expect(await api.call(shop, "POST", "/users", body)).toMatchObject({
    status: 400,
    body: { errors: [{ field }] },
  })
})
