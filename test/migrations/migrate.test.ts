/** What the migrator does to a real Postgres when all is well, and when files and database disagree. */
import { expect, test } from "vitest"
import { migrate, rehearse, seed, undo } from "../../reconciler/providers/migrator.ts"
import { countMessages } from "./messages.ts"
import { failureOf, migrationsOf, query, session, stateOf, useServer } from "./server.ts"
import { eventually } from "../eventually.ts"

const server = useServer()
const A = "create table a (n int);\n-- tenantry: down\ndrop table a;\n"
const B = "create table b (n int);\n-- tenantry: down\ndrop table b;\n"
const C = "create table c (n int);\n-- tenantry: down\ndrop table c;\n"
const AB = { "0001_a.sql": A, "0002_b.sql": B }

test("a database gets what it lacks, in order, and once", async () => {
  const uri = await server.database()
  await migrate(uri, await migrationsOf(AB))
  expect(await stateOf(uri)).toEqual({ tables: ["a", "b"], record: ["0001_a.sql done", "0002_b.sql done"] })
  await query(uri, "insert into a values (1)")
  await migrate(uri, await migrationsOf({ ...AB, "0003_c.sql": C }))
  expect((await stateOf(uri)).tables).toEqual(["a", "b", "c"])
  expect(await query(uri, "select n from a")).toEqual([{ n: 1 }])
})

test("`to` stops at a number", async () => {
  const uri = await server.database()
  await migrate(uri, await migrationsOf(AB), { to: "0001" })
  expect(await stateOf(uri)).toEqual({ tables: ["a"], record: ["0001_a.sql done"] })
})

test("with nothing pending one message answers, and any number of steps takes two", async () => {
  const uri = await server.database()
  const migrations = await migrationsOf({ ...AB, "0003_c.sql": C })
  expect(await countMessages(uri, (through) => migrate(through, migrations))).toBe(2)
  expect(await countMessages(uri, (through) => migrate(through, migrations))).toBe(1)
})

test("of many runners at once each step runs once, and all find the work done", async () => {
  const uri = await server.database()
  const migrations = await migrationsOf({ "0001_a.sql": "create table a (n int); insert into a values (1);" })
  await Promise.all(Array.from({ length: 12 }, () => migrate(uri, migrations)))
  expect(await query(uri, "select n from a")).toEqual([{ n: 1 }])
})

test("what a step sets for its session does not reach the next one", async () => {
  const uri = await server.database()
  const migrations = await migrationsOf({
    "0001_a.sql": "create schema away; set search_path = away;",
    "0002_b.sql": B,
  })
  await migrate(uri, migrations)
  expect((await stateOf(uri)).tables).toEqual(["b"])
})

test("steps end in a comment, hold semicolons, dollars and letters of any script, and have savepoints", async () => {
  const uri = await server.database()
  const text = `/* ü; */ create table a (t text);
savepoint s; insert into a values ('lost'); rollback to s;
do $x$ begin insert into a values ('größe; 漢字 🐘 $$'); end $x$; -- the end`
  await migrate(uri, await migrationsOf({ "0001_a.sql": text, "0002_b.sql": B }))
  expect(await query(uri, "select t from a")).toEqual([{ t: "größe; 漢字 🐘 $$" }])
  expect((await stateOf(uri)).record).toHaveLength(2)
})

test.for<[string, Record<string, string>, string]>([
  [
    "edited",
    { "0001_a.sql": `${A}-- a word more\n`, "0002_b.sql": B, "0003_c.sql": C },
    "TerminalError MigrationDrift: migration 0001_a.sql was edited after it was applied: bring the file back as it was, and add a new step",
  ],
  [
    "removed",
    { "0002_b.sql": B, "0003_c.sql": C },
    "TerminalError MigrationDrift: migration 0001_a.sql is applied, but its file is missing",
  ],
  [
    "renamed",
    { "0001_z.sql": A, "0002_b.sql": B },
    "TerminalError MigrationDrift: migration 0001_a.sql is applied, but its file is missing",
  ],
  [
    "overtaken: a new file sorts before it",
    { "0000_new.sql": C, ...AB },
    "TerminalError MigrationOrder: migration 0000_new.sql is not applied, but the newer 0002_b.sql is: give it a number above that",
  ],
  [
    "newer than every file: the database is ahead",
    { "0001_a.sql": A },
    "TerminalError DatabaseAhead: the database has migration 0002_b.sql, which is newer than every file",
  ],
  [
    "all that there is, and the folder is empty",
    {},
    "TerminalError DatabaseAhead: the database has migration 0001_a.sql, which is newer than every file",
  ],
])(
  "an applied file that was %s is an error that names it, and nothing is touched",
  async ([, files, message]) => {
    const uri = await server.database()
    await migrate(uri, await migrationsOf(AB))
    expect(await failureOf(migrate(uri, await migrationsOf(files)))).toContain(message)
    expect(await stateOf(uri)).toEqual({ tables: ["a", "b"], record: ["0001_a.sql done", "0002_b.sql done"] })
    await migrate(uri, await migrationsOf({ ...AB, "0003_c.sql": C }))
    expect((await stateOf(uri)).tables).toEqual(["a", "b", "c"])
  },
)

test("steps are undone newest first, down to a number, by their down parts", async () => {
  const uri = await server.database()
  const migrations = await migrationsOf({ ...AB, "0003_c.sql": C })
  await migrate(uri, migrations)
  expect(await undo(uri, migrations)).toEqual(["0003_c.sql"])
  expect(await stateOf(uri)).toEqual({ tables: ["a", "b"], record: ["0001_a.sql done", "0002_b.sql done"] })
  expect(await undo(uri, migrations, { to: "0000" })).toEqual(["0002_b.sql", "0001_a.sql"])
  expect(await stateOf(uri)).toEqual({ tables: [], record: [] })
  expect(await undo(uri, migrations)).toEqual([])
  await migrate(uri, migrations)
  expect((await stateOf(uri)).tables).toEqual(["a", "b", "c"])
})

test.for<[string, Record<string, string>, string]>([
  ["has no down part", { "0002_b.sql": "create table b (n int);\n" }, "has no part below"],
  ["was edited", { "0002_b.sql": `${B}-- more` }, "its file was edited after it was applied"],
  ["is missing", {}, "its file is missing; undo it from a checkout that has it"],
  [
    "fails",
    { "0002_b.sql": "create table b (n int);\n-- tenantry: down\n\ndrop table zzz;" },
    "0002_b.sql:4: table",
  ],
])("where a file %s nothing is undone", async ([how, files, message]) => {
  const uri = await server.database()
  const applied = { "0001_a.sql": A, "0002_b.sql": B, ...(how === "was edited" ? {} : files) }
  await migrate(uri, await migrationsOf(applied))
  const then = await migrationsOf({ "0001_a.sql": A, ...files })
  expect(await failureOf(undo(uri, then, { to: "0000" }))).toContain(message)
  expect(await stateOf(uri)).toEqual({ tables: ["a", "b"], record: ["0001_a.sql done", "0002_b.sql done"] })
})

test("a rehearsal says what would fail, and leaves nothing behind", async () => {
  const uri = await server.database()
  await migrate(uri, await migrationsOf({ "0001_a.sql": A }))
  await query(uri, "insert into a values (1), (1)")
  const fine = { "0001_a.sql": A, "0002_b.sql": B, "0003_c.sql": "insert into b select n from a;" }
  expect(await rehearse(uri, await migrationsOf(fine))).toEqual({
    tried: ["0002_b.sql", "0003_c.sql"],
    untried: [],
  })
  const bad = { ...fine, "0003_c.sql": "insert into b values (1);\n\nalter table a add unique (n);" }
  expect(await failureOf(rehearse(uri, await migrationsOf(bad)))).toMatch(
    /^TerminalError MigrationFailed: 0003_c.sql:3: could not create unique index "a_n_key" \(23505\)/,
  )
  const outside = {
    ...fine,
    "0003_c.sql": "-- tenantry: no-transaction\nvacuum a;",
    "0004_d.sql": "select 1;",
  }
  expect(await rehearse(uri, await migrationsOf(outside))).toEqual({
    tried: ["0002_b.sql"],
    untried: ["0003_c.sql", "0004_d.sql"],
  })
  expect(await stateOf(uri)).toEqual({ tables: ["a"], record: ["0001_a.sql done"] })
})

test("a rehearsal on an empty database leaves it empty", async () => {
  const uri = await server.database()
  expect((await rehearse(uri, await migrationsOf(AB))).tried).toHaveLength(2)
  expect(await stateOf(uri)).toEqual({ tables: [], record: [] })
})

test("a seed runs once, or not at all", async () => {
  const uri = await server.database()
  await migrate(uri, await migrationsOf({ "0001_a.sql": A }))
  const failure = await failureOf(seed(uri, "demo", "insert into a values (1);\ninsert into zz values (1);"))
  expect(failure).toMatch(
    /^TerminalError MigrationFailed: .*seeds\/demo\.sql:2: relation "zz" does not exist/,
  )
  expect(await query(uri, "select n from a")).toEqual([])
  expect(await seed(uri, "demo", "insert into a values (1)")).toBe(true)
  expect(await seed(uri, "demo", "insert into a values (1)")).toBe(false)
  expect(await query(uri, "select n from a")).toEqual([{ n: 1 }])
})

test("whoever waits for another runner longer than a statement may take is told to come again", async () => {
  const uri = await server.database()
  const migrations = await migrationsOf({ "0001_a.sql": A })
  const rival = await session(uri)
  await rival.query("select pg_advisory_lock(8387794208080589433)")
  const waiting = failureOf(migrate(uri, migrations))
  await eventually("it waits", async () => {
    const rows = await query(
      uri,
      "select from pg_stat_activity where wait_event = 'advisory' and datname = current_database()",
    )
    if (rows.length === 0) throw new Error("nobody waits")
  })
  await query(
    uri,
    "select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'advisory' and datname = current_database()",
  )
  expect(await waiting).toContain("TransientError MigrationLocked: another runner is migrating this database")
  await rival.end()
  await migrate(uri, migrations)
  expect((await stateOf(uri)).tables).toEqual(["a"])
})
