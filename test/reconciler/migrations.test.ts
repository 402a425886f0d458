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
  expect((await readMigrations(folder)).steps[0]).toMatchObject({
    up: { sql: "create table a ();", line: 1 },
    down: { sql: "\ndrop table a;", line: 2 },
  })
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

test.for<[string, Record<string, string | Uint8Array>, string]>([
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
  ["nothing in it", { "0003_a.sql": "" }, "0003_a.sql:1: holds no statement"],
  ["comments only", { "0003_a.sql": "-- soon\n\n-- later\n" }, "0003_a.sql:1: holds no statement"],
  [
    "a down part only",
    { "0003_a.sql": "-- tenantry: down\ndrop table a;\n" },
    "0003_a.sql:1: holds no statement",
  ],
  [
    "nothing below its down mark",
    { "0003_a.sql": "select 1;\n-- tenantry: down\n-- never\n" },
    "0003_a.sql:2: no statement stands below the down mark",
  ],
  [
    "two down marks",
    { "0003_a.sql": "select 1;\n-- tenantry: down\nselect 2;\n-- tenantry: down\nselect 3;\n" },
    '0003_a.sql:4: there is a second "-- tenantry: down"',
  ],
  [
    "a misspelt directive",
    { "0003_a.sql": "select 1;\n--tenantry: dwon\ndrop table a;\n" },
    '0003_a.sql:2: "-- tenantry: dwon" is not known; there are down, no-transaction and allow <rule>',
  ],
  [
    "another tool's mark",
    { "0003_a.sql": "create table c ();\n-- migrate:down\ndrop table c;\n" },
    '0003_a.sql:2: "-- migrate:down" is another tool\'s mark',
  ],
  ["an ending in capitals", { "0003_a.SQL": "select 1;" }, "0003_a.SQL: the name must be a four-digit"],
  [
    "bytes that are no text",
    { "0003_a.sql": new Uint8Array([0x73, 0xff, 0xfe]) },
    "0003_a.sql: cannot be read as UTF-8 text",
  ],
  ["a NUL in it", { "0003_a.sql": "select '\0';" }, "0003_a.sql: cannot be read as UTF-8 text"],
])("a step with %s is refused by name", async ([, files, message]) => {
  const folder = await folderOf({ ...STEPS, ...files })
  const error = await readMigrations(folder).catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(TerminalError)
  expect((error as Error).message).toContain(`${folder}/${message}`)
})

test("every bad file is named, not the first one only", async () => {
  const folder = await folderOf({ ...STEPS, "0002_again.sql": "", "third.sql": "select 1;" })
  const error = await readMigrations(folder).catch((reason: unknown) => reason)
  expect((error as Error).message.split("\n").map((line) => line.split(":")[0])).toEqual(
    ["0002_users.sql", "third.sql", "0002_again.sql"].map((name) => path.join(folder, name)),
  )
})

test("a folder that is away is not a folder without migrations", async () => {
  const folder = await folderOf({})
  expect((await readMigrations(folder)).steps).toEqual([])
  await expect(readMigrations(path.join(folder, "gone"))).rejects.toThrow(
    /gone: the migrations cannot be read \(ENOENT\): check MIGRATIONS_DIR/,
  )
})

test("a checkout with the line breaks of Windows has the same version", async () => {
  const text = "create table a (\n  id int\n);\n-- tenantry: down\ndrop table a;\n"
  const versions = [text, text.replaceAll("\n", "\r\n"), `\uFEFF${text}`].map(async (content) => {
    const { steps, version } = await readMigrations(await folderOf({ "0001_a.sql": content }))
    return { version, down: steps[0]?.down?.sql.trim() }
  })
  const [first, ...others] = await Promise.all(versions)
  expect(first!.down).toBe("drop table a;")
  expect(others).toEqual([first, first])
})

test("the dump of the schema is no step", async () => {
  const folder = await folderOf({ ...STEPS, "schema.sql": "create table b ();" })
  expect((await readMigrations(folder)).steps.map(({ name }) => name)).toEqual(Object.keys(STEPS))
})

test("the repository's own steps and seeds are valid", async () => {
  const { steps, seeds } = await readMigrations("migrations")
  expect(steps.length).toBeGreaterThan(0)
  expect([...seeds.keys()]).toContain("demo")
})
