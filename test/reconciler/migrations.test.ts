import { rm, writeFile } from "node:fs/promises"
import path from "node:path"
import { expect, test } from "vitest"
import { TerminalError } from "../../reconciler/errors.ts"
import { readMigrations } from "../../reconciler/migrations.ts"
import { folderOf } from "./folder.ts"

const STEPS = { "0001_products.sql": "create table a ();\n", "0002_users.sql": "create table b ();\n" }

test("steps come in the order of their numbers, seeds beside them", async () => {
  const folder = await folderOf({
    "0010_c.sql": "select 3;",
    ...STEPS,
    "README.md": "x",
    "seeds/demo.sql": "insert into a default values;",
    "seeds/notes.txt": "x",
  })
  const { steps, version, seeds } = await readMigrations(folder)
  expect(steps.map(({ name }) => name)).toEqual(["0001_products.sql", "0002_users.sql", "0010_c.sql"])
  expect(version).toMatch(/^0010:[0-9a-f]{16}$/)
  expect([...seeds]).toEqual([["demo", "insert into a default values;"]])
})

test("what stands below the down mark is not applied", async () => {
  const folder = await folderOf({
    "0001_a.sql": "create table a ();\n-- tenantry: down\ndrop table a;\n",
  })
  expect((await readMigrations(folder)).steps[0]?.up).toBe("create table a ();")
})

test("the version changes when a step is added, edited, renamed or removed, and not when a seed is", async () => {
  const folder = await folderOf({ ...STEPS, "seeds/demo.sql": "select 1;" })
  const file = (name: string) => path.join(folder, name)
  const version = async () => (await readMigrations(folder)).version
  const seen = [await version()]
  await writeFile(file("seeds/demo.sql"), "select 2;")
  expect(await version()).toBe(seen[0])
  await writeFile(file("0003_c.sql"), "select 1;")
  seen.push(await version())
  await writeFile(file("0003_c.sql"), "select 2;")
  seen.push(await version())
  await rm(file("0003_c.sql"))
  await writeFile(file("0003_d.sql"), "select 2;")
  seen.push(await version())
  await rm(file("0001_products.sql"))
  seen.push(await version())
  expect(new Set(seen).size).toBe(seen.length)
})

test.for<[string, Record<string, string>, string]>([
  [
    "a name without a number",
    { "add_stock.sql": "select 1;" },
    "add_stock.sql: the name must be a four-digit number",
  ],
  [
    "a number of three digits",
    { "001_a.sql": "select 1;" },
    "001_a.sql: the name must be a four-digit number",
  ],
  ["capitals", { "0003_Stock.sql": "select 1;" }, "0003_Stock.sql: the name must be a four-digit number"],
  ["no words", { "0003_.sql": "select 1;" }, "0003_.sql: the name must be a four-digit number"],
  [
    "another's number",
    { "0002_other.sql": "select 1;" },
    "0002_users.sql: has the same number as 0002_other.sql; give it the next free one",
  ],
  ["nothing in it", { "0003_a.sql": "" }, "0003_a.sql: holds no statement"],
  ["comments only", { "0003_a.sql": "-- soon\n\n-- later\n" }, "0003_a.sql: holds no statement"],
  [
    "a down part only",
    { "0003_a.sql": "-- tenantry: down\ndrop table a;\n" },
    "0003_a.sql: holds no statement",
  ],
])("a step with %s is refused by name", async ([, files, message]) => {
  const folder = await folderOf({ ...STEPS, ...files })
  const error = await readMigrations(folder).catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(TerminalError)
  expect((error as Error).message).toContain(`${folder}/${message}`)
})

test("the repository's own steps and seeds are valid", async () => {
  const { steps, seeds } = await readMigrations("migrations")
  expect(steps.length).toBeGreaterThan(0)
  expect([...seeds.keys()]).toContain("demo")
})
