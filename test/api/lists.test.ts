import * as fc from "fast-check"
import { afterAll, beforeAll, expect, test } from "vitest"
import { type Api, FLEET, newTenantId, startWorld, type TestTenant, type World } from "./world.ts"

type Product = { id: number; name: string; price: number }

let world: World
let api: Api
let shop: TestTenant
let stock: Product[]

beforeAll(async () => {
  world = await startWorld()
  shop = await world.addTenant("Shop")
  // Few names and few prices, so that many rows are equal but for their id.
  await world.sql(
    shop.database,
    `insert into products (name, price)
     select (array['Anvil', 'anvil', 'Bolt 5%', 'Clamp_x', 'Ähre', 'Zebra'])[1 + n % 6], (n * 7 % 5) * 2.25
     from generate_series(1, 60) n`,
  )
  stock = await world.sql<Product>(
    shop.database,
    "select id::int, name, price::float8 as price from products order by id",
  )
  api = await world.serve()
}, 60_000)
afterAll(async () => {
  await api?.close()
  await world?.close()
})

/** Every page of a list, one after the other. */
async function walk(query: Record<string, string>): Promise<Product[]> {
  const seen: Product[] = []
  let after: string | undefined
  do {
    const search = new URLSearchParams({ ...query, ...(after === undefined ? {} : { after }) })
    const { status, body } = await api.call(shop, "GET", `/products?${search.toString()}`)
    expect(status, JSON.stringify(body)).toBe(200)
    seen.push(...body.items)
    after = body.next ?? undefined
  } while (after !== undefined)
  return seen
}

const sorts = ["id", "-id", "name", "-name", "price", "-price"] as const

test("every order, range and search, in pages of every size, shows exactly the rows that fit, once", async () => {
  const byName = (
    await world.sql<{ name: string }>(shop.database, "select distinct name from products order by name")
  ).map(({ name }) => name) // the database's own collation is the judge
  const rank = {
    id: (p: Product) => p.id,
    name: (p: Product) => byName.indexOf(p.name),
    price: (p: Product) => p.price,
  }
  const money = fc.constantFrom(0, 2.25, 4.5, 6.75, 9)
  await fc.assert(
    fc.asyncProperty(
      fc.record(
        {
          sort: fc.constantFrom(...sorts),
          limit: fc.constantFrom(1, 7, 20, 59, 60, 100),
          q: fc.constantFrom("anvil", "5%", "_", "e", "nothing"),
          minPrice: money,
          maxPrice: money,
        },
        { requiredKeys: [] },
      ),
      async (list) => {
        const seen = await walk(
          Object.fromEntries(Object.entries(list).map(([key, value]) => [key, String(value)])),
        )
        const key = rank[(list.sort ?? "id").replace("-", "") as keyof typeof rank]
        const fits = stock
          .filter(({ name }) => name.toLowerCase().includes((list.q ?? "").toLowerCase()))
          .filter(({ price }) => price >= (list.minPrice ?? 0) && price <= (list.maxPrice ?? 1e9))
          .toSorted((a, b) => key(a) - key(b) || a.id - b.id)
        const expected = list.sort?.startsWith("-") ? fits.toReversed() : fits
        expect(seen.map(({ id }) => id)).toEqual(expected.map(({ id }) => id))
      },
    ),
    { numRuns: 150 },
  )
})

test("a row that is added or deleted between two pages moves no other row", async () => {
  const first = await api.call(shop, "GET", "/products?sort=price&limit=20")
  const [gone] = first.body.items
  expect((await api.call(shop, "DELETE", `/products/${gone.id}`)).status).toBe(204)
  await api.call(shop, "POST", "/products", { name: "Early", price: 0 })
  const second = await api.call(shop, "GET", `/products?sort=price&limit=100&after=${first.body.next}`)
  const shown = [...first.body.items, ...second.body.items].map(({ id }: Product) => id)
  expect(shown.toSorted((a, b) => a - b)).toEqual(stock.map(({ id }) => id))
})

test.each([
  ["/products?sort=colour", "sort"],
  ["/products?sort=id&sort=price", "sort"],
  ["/products?minPrice=-1", "minPrice"],
  ["/products?minPrice=1e3", "minPrice"],
  ["/products?maxPrice=1.005", "maxPrice"],
  ["/products?maxPrice=NaN", "maxPrice"],
  ["/products?sort=price&after=7", "after"],
  [`/products?sort=price&after=${Buffer.from('["name","x",1]').toString("base64url")}`, "after"],
  [
    `/products?sort=price&after=${Buffer.from('["price","1; drop table products",1]').toString("base64url")}`,
    "after",
  ],
  [`/products?sort=name&after=${Buffer.from('["name","x",0.5]').toString("base64url")}`, "after"],
  ["/users?after=x", "after"],
])("%s is refused before a database is asked, and %s is named", async (target, field) => {
  const id = newTenantId()
  world.vault.set(id, { state: "active", uri: "postgres://u:p@127.0.0.1:1/nothing", fleet: FLEET })
  expect(await api.call({ ...shop, id }, "GET", target)).toMatchObject({
    status: 400,
    body: { type: "/problems/request-invalid", errors: [{ in: "query", field }] },
  })
})

test("the longest name that is written in the longest way is a place to go on from", async () => {
  const name = "\u0001".repeat(199)
  for (const last of ["a", "b"])
    expect((await api.call(shop, "POST", "/products", { name: name + last, price: 1 })).status).toBe(201)
  const first = await api.call(shop, "GET", "/products?sort=name&limit=1")
  expect(first.body.items[0].name).toBe(`${name}a`)
  const second = await api.call(shop, "GET", `/products?sort=name&limit=1&after=${first.body.next}`)
  expect(second.body.items[0].name).toBe(`${name}b`)
})
