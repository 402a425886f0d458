import { afterAll, beforeAll, beforeEach, expect, test } from "vitest"
import { type Api, startWorld, type TestTenant, type World } from "./world.ts"

let world: World
let api: Api
let shop: TestTenant
let at: string
let id: number

beforeAll(async () => {
  world = await startWorld()
  shop = await world.addTenant("Shop", { seed: true })
  api = await world.serve()
}, 60_000)
afterAll(async () => {
  await api?.close()
  await world?.close()
})
beforeEach(async () => {
  const { body } = await api.call(shop, "POST", "/carts", { userId: 2 })
  id = body.id
  at = `/carts/${id}`
})

const add = (productId: number, quantity: number) =>
  api.call(shop, "POST", `${at}/items`, { productId, quantity })

test("users can be listed and found", async () => {
  const { body } = await api.call(shop, "GET", "/users?limit=2")
  expect(body).toEqual({
    items: [
      { id: 1, name: "Amara Okafor", email: "amara.okafor@example.com" },
      { id: 2, name: "Jonas Lindqvist", email: "jonas.lindqvist@example.com" },
    ],
    next: "2",
  })
  expect((await api.call(shop, "GET", "/users/2")).body).toEqual(body.items[1])
  expect((await api.call(shop, "GET", "/users/99")).body).toMatchObject({ type: "/problems/user-not-found" })
})

test("a new cart is empty and leads to itself", async () => {
  const made = await api.call(shop, "POST", "/carts", { userId: 1 })
  expect(made).toMatchObject({ status: 201, body: { userId: 1, items: [], total: 0 } })
  const again = await api.call(shop, "GET", made.headers.get("location")!)
  expect(again).toMatchObject({ status: 200, body: made.body })
})

test("adding adds to what is there, and the totals are exact", async () => {
  await add(1, 1) // 1199.00
  await add(36, 2) // 27.99
  expect(await add(36, 1)).toMatchObject({ status: 200 })
  expect((await api.call(shop, "GET", at)).body).toEqual({
    id,
    userId: 2,
    items: [
      { productId: 1, name: "Apple iPhone 16 Pro 256 GB", price: 1199, quantity: 1, lineTotal: 1199 },
      {
        productId: 36,
        name: "SanDisk Extreme microSDXC 256 GB",
        price: 27.99,
        quantity: 3,
        lineTotal: 83.97,
      },
    ],
    total: 1282.97,
  })
})

test("a total follows the price of the product", async () => {
  await add(37, 3)
  await api.call(shop, "PATCH", "/products/37", { price: 0.1 })
  expect((await api.call(shop, "GET", at)).body).toMatchObject({ total: 0.3, items: [{ lineTotal: 0.3 }] })
})

test("a quantity is set, an item is removed, a cart is deleted with its items", async () => {
  await add(5, 1)
  await add(6, 1)
  expect((await api.call(shop, "PUT", `${at}/items/5`, { quantity: 4 })).body.items[0].quantity).toBe(4)
  expect((await api.call(shop, "PATCH", `${at}/items/5`, { quantity: 2 })).body.items[0].quantity).toBe(2)
  expect((await api.call(shop, "DELETE", `${at}/items/5`)).body.items).toHaveLength(1)
  expect((await api.call(shop, "DELETE", at)).status).toBe(204)
  expect((await api.call(shop, "GET", at)).status).toBe(404)
  expect(await world.sql(shop.database, `select from cart_items where cart_id = ${id}`)).toEqual([])
})

test("what does not exist is named", async () => {
  await add(1, 1)
  const cases: [string, string, unknown, number, string][] = [
    ["POST", "/carts", { userId: 99 }, 422, "unknown-user"],
    ["POST", `${at}/items`, { productId: 99_999, quantity: 1 }, 422, "unknown-product"],
    ["POST", "/carts/99999/items", { productId: 1, quantity: 1 }, 404, "cart-not-found"],
    ["GET", "/carts/99999", undefined, 404, "cart-not-found"],
    ["GET", "/carts/x", undefined, 404, "cart-not-found"],
    ["DELETE", "/carts/99999", undefined, 404, "cart-not-found"],
    ["PUT", "/carts/99999/items/1", { quantity: 1 }, 404, "cart-not-found"],
    ["PUT", `${at}/items/2`, { quantity: 1 }, 404, "cart-item-not-found"],
    ["DELETE", `${at}/items/2`, undefined, 404, "cart-item-not-found"],
    ["DELETE", `${at}/items/zzz`, undefined, 404, "cart-item-not-found"],
  ]
  for (const [method, target, body, status, key] of cases) {
    const answer = await api.call(shop, method, target, body)
    expect(answer, `${method} ${target}`).toMatchObject({
      status,
      body: { type: `/problems/${key}`, status },
    })
  }
})

test.each([0, -1, 1000, 1.5, "1", 2_147_483_648, 1e300])("the quantity %j is refused", async (quantity) => {
  const answer = await api.call(shop, "POST", `${at}/items`, { productId: 1, quantity })
  expect(answer.status).toBe(400)
  expect(answer.body.errors[0].field).toBe("quantity")
})

test("a line never grows past its limit, and the refusal changes nothing", async () => {
  await add(1, 999)
  expect(await add(1, 1)).toMatchObject({ status: 422, body: { type: "/problems/quantity-too-large" } })
  expect((await api.call(shop, "GET", at)).body.items[0].quantity).toBe(999)
})

test("a cart holds at most 100 lines", async () => {
  const [from] = await world.sql<{ id: number }>(
    shop.database,
    `insert into products (name, price) select 'filler ' || n, 9999999999.99 from generate_series(1, 101) n
     returning id::int`,
  )
  await world.sql(
    shop.database,
    `insert into cart_items select ${id}, id, 1 from products where id >= ${from!.id} order by id limit 100`,
  )
  expect(await add(from!.id + 100, 1)).toMatchObject({ status: 422, body: { type: "/problems/cart-full" } })
  expect((await add(from!.id, 9)).body).toMatchObject({ total: 1_089_999_999_998.91 })
})

test("concurrent additions to one cart are all counted", async () => {
  const answers = await Promise.all(Array.from({ length: 40 }, (_, n) => add(7 + (n % 2), 1)))
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
  const { body } = await api.call(shop, "GET", at)
  expect(body.items.map(({ quantity }: { quantity: number }) => quantity)).toEqual([20, 20])
})

test("a product goes into a cart or is deleted, never both", async () => {
  const rounds = await world.sql<{ id: number }>(
    shop.database,
    "insert into products (name, price) select 'contested', 1 from generate_series(1, 30) returning id::int",
  )
  await Promise.all(
    rounds.map(async (product) => {
      const [added, deleted] = await Promise.all([
        add(product.id, 1),
        api.call(shop, "DELETE", `/products/${product.id}`),
      ])
      expect([
        [200, 409],
        [422, 204],
      ]).toContainEqual([added.status, deleted.status])
    }),
  )
})
