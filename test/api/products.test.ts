import { afterAll, beforeAll, expect, test } from "vitest"
import { type Api, startWorld, type TestTenant, type World } from "./world.ts"

let world: World
let api: Api
let shop: TestTenant
let other: TestTenant

beforeAll(async () => {
  world = await startWorld()
  shop = await world.addTenant("Shop", { seed: true })
  other = await world.addTenant("Other")
  api = await world.serve()
}, 60_000)
afterAll(async () => {
  await api?.close()
  await world?.close()
})

test("after the demo seed the next product is number 51, as it was sent, and only its tenant has it", async () => {
  const made = await api.call(shop, "POST", "/products", { name: "Samsung Galaxy S25 Ultra", price: 1299.99 })
  const product = { id: 51, name: "Samsung Galaxy S25 Ultra", price: 1299.99, description: "" }
  expect(made).toMatchObject({ status: 201, body: product })
  expect(Object.keys(made.body)).toEqual(["id", "name", "price", "description"])
  expect(made.headers.get("location")).toBe("/products/51")
  expect(await api.call(shop, "GET", "/products/51")).toMatchObject({ status: 200, body: product })
  expect(await api.call(other, "GET", "/products/51")).toMatchObject({
    status: 404,
    body: { type: "/problems/product-not-found", status: 404 },
  })
})

test("pages follow each other without a gap or a repetition", async () => {
  const seen: number[] = []
  for (let after = ""; ;) {
    const { status, body } = await api.call(shop, "GET", `/products?limit=7${after}`)
    expect(status).toBe(200)
    expect(body.items.length).toBeLessThanOrEqual(7)
    seen.push(...body.items.map(({ id }: { id: number }) => id))
    if (body.next === null) break
    after = `&after=${body.next}`
  }
  const rows = await world.sql<{ id: string }>(shop.database, "select id from products order by id")
  expect(seen).toEqual(rows.map(({ id }) => Number(id)))
  expect((await api.call(shop, "GET", "/products")).body.items).toHaveLength(50)
})

test("a search finds a part of a name in any case, and takes % and _ literally", async () => {
  const found = await api.call(shop, "GET", "/products?q=THINKPAD")
  expect(found.body.items.map(({ name }: { name: string }) => name)).toEqual([
    "Lenovo ThinkPad X1 Carbon Gen 13",
  ])
  expect((await api.call(shop, "GET", "/products?q=%25")).body).toEqual({ items: [], next: null })
  expect((await api.call(shop, "GET", "/products?q=_")).body).toEqual({ items: [], next: null })
  expect(
    (await api.call(shop, "GET", `/products?q=${encodeURIComponent("' or 1=1 --")}`)).body.items,
  ).toEqual([])
})

test("a product is replaced, changed in part, and deleted", async () => {
  const { body: made } = await api.call(other, "POST", "/products", {
    name: "A",
    price: 1,
    description: "old",
  })
  const at = `/products/${made.id}`
  expect((await api.call(other, "PUT", at, { name: "B", price: 2.5 })).body).toEqual({
    id: made.id,
    name: "B",
    price: 2.5,
    description: "",
  })
  expect((await api.call(other, "PATCH", at, { description: "new" })).body).toEqual({
    id: made.id,
    name: "B",
    price: 2.5,
    description: "new",
  })
  const [row] = await world.sql(other.database, `select version from products where id = ${made.id}`)
  expect(row).toEqual({ version: 3 })
  expect(await api.call(other, "DELETE", at)).toMatchObject({ status: 204, body: undefined })
  expect((await api.call(other, "GET", at)).status).toBe(404)
  for (const [method, body] of [
    ["PUT", { name: "B", price: 1 }],
    ["PATCH", { price: 1 }],
    ["DELETE"],
  ] as const) {
    expect(await api.call(other, method, at, body)).toMatchObject({
      status: 404,
      body: { type: "/problems/product-not-found" },
    })
  }
})

test("a product that a cart holds is not deleted, and the answer names the cart", async () => {
  const { body: cart } = await api.call(shop, "POST", "/carts", { userId: 1 })
  await api.call(shop, "POST", `/carts/${cart.id}/items`, { productId: 3, quantity: 1 })
  expect(await api.call(shop, "DELETE", "/products/3")).toMatchObject({
    status: 409,
    body: { type: "/problems/product-in-use", carts: [cart.id] },
  })
  expect((await api.call(shop, "GET", "/products/3")).status).toBe(200)
  await api.call(shop, "DELETE", `/carts/${cart.id}`)
  expect((await api.call(shop, "DELETE", "/products/3")).status).toBe(204)
})

test.each([0, 0.01, 0.1, 19.99, 4.35, 1.005e3, 1_234_567_890.12, 9_999_999_999.99])(
  "the price %d is kept to the cent",
  async (price) => {
    const made = await api.call(other, "POST", "/products", { name: "priced", price })
    expect(made).toMatchObject({ status: 201, body: { price } })
    expect((await api.call(other, "GET", `/products/${made.body.id}`)).body.price).toBe(price)
    const [row] = await world.sql(
      other.database,
      `select price::text from products where id = ${made.body.id}`,
    )
    expect(row).toEqual({ price: price.toFixed(2) })
  },
)

test.each([
  [{ name: "x" }, "price"],
  [{ price: 1 }, "name"],
  [{ name: "", price: 1 }, "name"],
  [{ name: "  ", price: 1 }, "name"],
  [{ name: "x", price: -0.01 }, "price"],
  [{ name: "x", price: 10_000_000_000 }, "price"],
  [{ name: "x", price: 1e308 }, "price"],
  [{ name: "x", price: 1.999 }, "price"],
  [{ name: "x", price: "1" }, "price"],
  [{ name: "x", price: null }, "price"],
  [{ name: "x\u0000y", price: 1 }, "name"],
  [{ name: "x", price: 1, description: "\ud800" }, "description"],
  [{ name: "x".repeat(201), price: 1 }, "name"],
  [{ name: "x", price: 1, colour: "red" }, "colour"],
  [{ name: "x", price: 1, id: 7 }, "id"],
])("the body %j is refused, and %s is named", async (body, field) => {
  const answer = await api.call(other, "POST", "/products", body)
  expect(answer).toMatchObject({
    status: 400,
    body: { type: "/problems/request-invalid", errors: [{ field }] },
  })
  expect(answer.body.detail).toContain(field)
})

test.each([
  ["/products?limit=0", "limit"],
  ["/products?limit=101", "limit"],
  ["/products?limit=1e1", "limit"],
  ["/products?limit=1&limit=2", "limit"],
  ["/products?after=-1", "after"],
  ["/products?after=9999999999999999", "after"],
  ["/products?after=x", "after"],
  ["/products?q=", "q"],
  ["/products?q=%00", "q"],
  ["/products?page=2", "page"],
])("%s is refused, and %s is named", async (target, field) => {
  expect(await api.call(other, "GET", target)).toMatchObject({
    status: 400,
    body: { type: "/problems/request-invalid", errors: [{ in: "query", field }] },
  })
})

test.each([
  "0",
  "-1",
  "1.5",
  "1e3",
  "01",
  "x",
  "9007199254740993",
  "99999999999999999999",
  "%00",
  "1%20or%201=1",
])("no product has the id %s", async (id) => {
  expect(await api.call(other, "GET", `/products/${id}`)).toMatchObject({
    status: 404,
    body: { type: "/problems/product-not-found" },
  })
})

test("an empty change is refused", async () => {
  expect((await api.call(shop, "PATCH", "/products/1", {})).status).toBe(400)
})
