/** Steps that fail, each in its own way: the record tells the truth, and when the file is mended all goes on. */
import { expect, test } from "vitest"
import { migrate } from "../../reconciler/providers/migrator.ts"
import { eventually } from "../eventually.ts"
import { killRunner } from "./killed.ts"
import { failureOf, migrationsOf, query, session, stateOf, useServer } from "./server.ts"

const server = useServer()
const A = "create table a (n int);\n"
const MENDED = { "0001_a.sql": A, "0002_b.sql": "create table b ();", "0003_c.sql": "create table c ();" }
const LIMITS = { lockTimeout: 200, statementTimeout: 400 }
const APPLIED = { tables: ["a", "b", "c"], record: Object.keys(MENDED).map((name) => `${name} done`) }
const FIRST = { tables: ["a"], record: ["0001_a.sql done"] }

const withSecond = (text: string) => ({ ...MENDED, "0002_b.sql": text })

test.for<[string, string, string]>([
  [
    "broken SQL",
    "create table b ();\n\n  creat tabel c ();",
    'TerminalError MigrationFailed: 0002_b.sql:3: syntax error at or near "creat"',
  ],
  [
    "a text that never ends",
    "create table b ();\ninsert into b values ('x);\n",
    "TerminalError MigrationFailed: 0002_b.sql:2: unterminated quoted string at or near",
  ],
  [
    "a table that is not there",
    "-- 漢字 🐘 ü\ncreate table b ();\nalter table zz add column q int;",
    'TerminalError MigrationFailed: 0002_b.sql:3: relation "zz" does not exist (42P01)',
  ],
  [
    "a name that Postgres points at",
    "create table b ();\nselect 'ü',\n       zz from b;",
    'TerminalError MigrationFailed: 0002_b.sql:3: column "zz" does not exist (42703)',
  ],
  [
    "data that break a rule",
    "create table b ();\n\n/* why */\ninsert into a values (1), (1);\n-- then\nalter table a add unique (n);",
    'TerminalError MigrationFailed: 0002_b.sql:6: could not create unique index "a_n_key" (23505)',
  ],
  [
    "an exception of its own",
    "create table b ();\ndo $$ begin raise exception 'not like this'; end $$;",
    "TerminalError MigrationFailed: 0002_b.sql:2: not like this (P0001)",
  ],
  [
    "a commit in it",
    "create table b ();\ncommit;\ncreate table d ();",
    "TerminalError MigrationFailed: 0002_b.sql:2: a step is one transaction already: remove begin, commit and rollback",
  ],
  [
    "what cannot run in a transaction",
    "create table b ();\ncreate index concurrently i on a (n);",
    'TerminalError MigrationFailed: 0002_b.sql:2: CREATE INDEX CONCURRENTLY cannot run inside a transaction block (25001); start the file with "-- tenantry: no-transaction"',
  ],
  [
    "a statement that takes longer than its limit",
    "create table b ();\nselect pg_sleep(30);",
    "TerminalError MigrationTimeout: 0002_b.sql:2: canceling statement due to statement timeout (57014); split the step",
  ],
  [
    "a right that the owner lacks",
    "create table b ();\ncreate role another superuser;",
    "TerminalError MigrationFailed: 0002_b.sql:2: permission denied to create role (42501); the owner of the databases lacks the right",
  ],
  [
    "an end of its own session",
    "create table b ();\nselect pg_terminate_backend(pg_backend_pid());",
    "TransientError MigrationInterrupted: 0002_b.sql:2: terminating connection due to administrator command",
  ],
])("a step with %s leaves nothing, and those before it are applied", async ([, text, message]) => {
  const uri = await server.database()
  const work = migrate(uri, await migrationsOf(withSecond(text)), { limits: LIMITS })
  expect(await failureOf(work)).toContain(message)
  expect(await stateOf(uri)).toEqual(FIRST)
  await migrate(uri, await migrationsOf(MENDED))
  expect(await stateOf(uri)).toEqual(APPLIED)
})

test("a full disk is no fault of the step, and passes", async () => {
  const uri = await server.database()
  const text = "create table b ();\ncopy (select 1) to '/dev/full';"
  const work = migrate(server.asSuperuser(uri), await migrationsOf(withSecond(text)))
  expect(await failureOf(work)).toMatch(/^TransientError MigrationInterrupted: 0002_b.sql:2: .* \(53100\)$/)
  expect(await stateOf(server.asSuperuser(uri))).toEqual(FIRST)
})

test("a step that meets a lock gives up, keeps nobody waiting, and goes through later", async () => {
  const uri = await server.database()
  await migrate(uri, await migrationsOf({ "0001_a.sql": A }))
  const holder = await session(uri)
  await holder.query("begin; select * from a")
  const migrations = await migrationsOf(withSecond("create table b ();\nalter table a add column m int;"))
  expect(await failureOf(migrate(uri, migrations, { limits: LIMITS }))).toContain(
    "TransientError MigrationLockTimeout: 0002_b.sql:2: canceling statement due to lock timeout (55P03); it gave up so that nobody queues behind it, and is tried again later",
  )
  expect(await stateOf(uri)).toEqual(FIRST)
  await holder.end()
  await migrate(uri, migrations, { limits: LIMITS })
  expect(await stateOf(uri)).toEqual(APPLIED)
})

test("without the limit a step would wait for the lock as long as it is held", async () => {
  const uri = await server.database()
  await migrate(uri, await migrationsOf({ "0001_a.sql": A }))
  const holder = await session(uri)
  await holder.query("begin; select * from a")
  const migrations = await migrationsOf(withSecond("create table b ();\nalter table a add column m int;"))
  const work = migrate(uri, migrations, { limits: { lockTimeout: 0, statementTimeout: 0 } })
  await eventually("it waits for the lock", async () => {
    const rows = await query(uri, "select from pg_locks where not granted and relation = 'a'::regclass")
    if (rows.length === 0) throw new Error("it does not wait")
  })
  await holder.end()
  await work
  expect(await stateOf(uri)).toEqual(APPLIED)
})

test("a database without the right to make the record says so", async () => {
  const uri = await server.database()
  const name = new URL(uri).pathname.slice(1)
  await query(server.asSuperuser(uri), `alter database ${name} owner to postgres`)
  expect(await failureOf(migrate(uri, await migrationsOf(MENDED)))).toMatch(
    /^TerminalError SqlRejected: .*permission denied for database/,
  )
  expect(await stateOf(uri)).toEqual({ tables: [], record: [] })
})

test("a database that disappears midway is an error that passes, and a fresh one gets everything", async () => {
  const uri = await server.database()
  const name = new URL(uri).pathname.slice(1)
  const work = failureOf(migrate(uri, await migrationsOf(withSecond("select pg_sleep(60);"))))
  await eventually("the step runs", async () => {
    const rows = await query(
      server.asSuperuser(uri),
      `select from pg_stat_activity where wait_event = 'PgSleep' and datname = '${name}'`,
    )
    if (rows.length === 0) throw new Error("it does not run yet")
  })
  const maintenance = server.maintenance()
  await query(maintenance, `drop database ${name} with (force)`)
  expect(await work).toContain("TransientError MigrationInterrupted: 0002_b.sql:1: ")
  expect(await failureOf(migrate(uri, await migrationsOf(MENDED)))).toContain(
    "TransientError PostgresUnavailable",
  )
  await query(maintenance, `create database ${name} owner owner`)
  await migrate(uri, await migrationsOf(MENDED))
  expect(await stateOf(uri)).toEqual(APPLIED)
})

test("a runner that is killed in a step leaves all of the step with its record, or nothing", async () => {
  const uri = await server.database()
  const holder = await session(uri)
  await migrate(uri, await migrationsOf({ "0001_a.sql": A }))
  await holder.query("begin; lock table a")
  await killRunner(uri, withSecond("create table b ();\ninsert into a values (7);"), async () => {
    const rows = await query(uri, "select from pg_locks where not granted and relation = 'a'::regclass")
    if (rows.length === 0) throw new Error("the step has not come to the lock")
  })
  expect(await stateOf(uri)).toEqual(FIRST)
  await holder.end()
  await migrate(uri, await migrationsOf(withSecond("create table b ();\ninsert into a values (7);")))
  expect(await stateOf(uri)).toEqual(APPLIED)
  expect(await query(uri, "select n from a")).toEqual([{ n: 7 }])
})
