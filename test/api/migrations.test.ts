import { readdir, readFile } from "node:fs/promises"
import path from "node:path"
import { afterAll, beforeAll, expect, test } from "vitest"
import { startWorld, type World } from "./world.ts"

const FOLDER = path.resolve(import.meta.dirname, "../../migrations")
let world: World
let checked: string

beforeAll(async () => {
  world = await startWorld()
  checked = (await world.addTenant("Checked", { seed: true })).database
  await world.sql(checked, "insert into carts (user_id) values (1)")
}, 60_000)
afterAll(() => world?.close())

test("the demo seed is 50 products with the ids 1 to 50, and a few users", async () => {
  const { database } = await world.addTenant("Seeded", { seed: true })
  expect(await world.sql(database, "select count(*)::int, min(id)::int, max(id)::int from products")).toEqual(
    [{ count: 50, min: 1, max: 50 }],
  )
  expect(await world.sql(database, "select count(*)::int from users")).toEqual([{ count: 5 }])
})

test("every migration has a way back, and all of them together leave nothing", async () => {
  const { database } = await world.addTenant("Undone", { seed: true })
  const files = (await readdir(FOLDER)).filter((file) => /^\d.*\.sql$/.test(file)).sort()
  expect(files.map((file) => file.slice(0, 4))).toEqual(files.map((_, n) => String(n + 1).padStart(4, "0")))
  for (const file of files.toReversed()) {
    const [, down] = (await readFile(path.join(FOLDER, file), "utf8")).split(/^-- tenantry: down$/m)
    await world.sql(database, down!)
  }
  expect(
    await world.sql(database, "select relname from pg_class where relnamespace = 'public'::regnamespace"),
  ).toEqual([])
})

test.each([
  "insert into products (name, price) values ('x', -1)",
  "insert into products (name, price) values ('', 1)",
  "insert into products (name, price) values ('x', 10000000000)",
  "insert into users (name, email) values ('x', 'AMARA.OKAFOR@example.com')",
  "insert into carts (user_id) values (99)",
  "insert into cart_items (cart_id, product_id, quantity) values (1, 1, 0)",
  "insert into cart_items (cart_id, product_id, quantity) values (1, 1, 1000)",
  "insert into cart_items (cart_id, product_id, quantity) values (1, 1, 1), (1, 1, 1)",
  "insert into cart_items (cart_id, product_id, quantity) values (1, 99, 1)",
  "delete from users where id = 1",
])("the schema itself refuses: %s", async (statement) => {
  await expect(world.sql(checked, statement)).rejects.toThrow(/violates|overflow/)
})
