/** Steps that say "-- tenantry: no-transaction": what cuts them short can be seen, and what is left can be finished. */
import { expect, test } from "vitest"
import { migrate, undo } from "../../reconciler/providers/migrator.ts"
import { eventually } from "../eventually.ts"
import { killRunner } from "./killed.ts"
import { failureOf, migrationsOf, query, session, stateOf, useServer } from "./server.ts"

const server = useServer()
const A = { "0001_a.sql": "create table a (n int, m int);\n" }
const STEP = `-- tenantry: no-transaction
create index concurrently a_n on a (n);
create unique index concurrently a_m on a (m);
-- tenantry: down
drop index concurrently a_m;
drop index concurrently a_n;
`
const FILES = { ...A, "0002_i.sql": STEP, "0003_b.sql": "create table b ();" }
const DONE = { tables: ["a", "b"], record: ["0001_a.sql done", "0002_i.sql done", "0003_b.sql done"] }

const indexes = async (uri: string) => {
  const rows = await query<{ line: string }>(
    uri,
    `select c.relname || case when i.indisvalid then '' else ' invalid' end as line
       from pg_index i join pg_class c on c.oid = i.indexrelid
      where i.indrelid = 'a'::regclass order by 1`,
  )
  return rows.map(({ line }) => line)
}
const progress = async (uri: string) =>
  query(uri, "select state, statements from tenantry.migrations where name = '0002_i.sql'")

async function withA(): Promise<string> {
  const uri = await server.database()
  await migrate(uri, await migrationsOf(A))
  return uri
}

test("statements run one by one, outside a transaction, between steps that have one", async () => {
  const uri = await server.database()
  await migrate(uri, await migrationsOf(FILES))
  expect(await indexes(uri)).toEqual(["a_m", "a_n"])
  expect(await stateOf(uri)).toEqual(DONE)
})

test("a failure in the middle is on record, and the next run makes the invalid index again and goes on", async () => {
  const uri = await withA()
  await query(uri, "insert into a values (1, 1), (2, 1)")
  const migrations = await migrationsOf(FILES)
  expect(await failureOf(migrate(uri, migrations))).toMatch(
    /^TerminalError MigrationFailed: 0002_i.sql:3: could not create unique index "a_m" \(23505\)/,
  )
  expect(await indexes(uri)).toEqual(["a_m invalid", "a_n"])
  expect(await progress(uri)).toEqual([{ state: "failed", statements: 1 }])
  expect(await failureOf(migrate(uri, migrations))).toContain("could not create unique index")
  expect(await indexes(uri)).toEqual(["a_m invalid", "a_n"])
  await query(uri, "delete from a where n = 2")
  await migrate(uri, migrations)
  expect(await indexes(uri)).toEqual(["a_m", "a_n"])
  expect(await stateOf(uri)).toEqual(DONE)
})

test("a step that leaves its own transaction open is not taken for done", async () => {
  const uri = await withA()
  const begun = "-- tenantry: no-transaction\nbegin;\ncreate table b ();\n"
  const withStep = async (end: string) => migrationsOf({ ...A, "0002_b.sql": begun + end })
  expect(await failureOf(migrate(uri, await withStep("")))).toBe(
    "TerminalError MigrationFailed: 0002_b.sql:3: the step ends amid a transaction, so nothing of it would last: end it with commit",
  )
  expect((await stateOf(uri)).tables).toEqual(["a"])
  await migrate(uri, await withStep("commit;"))
  expect(await stateOf(uri)).toEqual({ tables: ["a", "b"], record: ["0001_a.sql done", "0002_b.sql done"] })
})

test("a step that failed may be edited, and then begins anew", async () => {
  const uri = await withA()
  await query(uri, "insert into a values (1, 1), (2, 1)")
  expect(await failureOf(migrate(uri, await migrationsOf(FILES)))).toContain("could not create unique index")
  const edited = `-- tenantry: no-transaction
create index concurrently if not exists a_n on a (n);
create index concurrently if not exists a_m on a (m);`
  await migrate(uri, await migrationsOf({ ...FILES, "0002_i.sql": edited }))
  expect(await indexes(uri)).toEqual(["a_m", "a_n"])
  expect(await stateOf(uri)).toEqual(DONE)
})

test("a runner killed while an index is half made leaves that on record, and the next one finishes it", async () => {
  const uri = await withA()
  const holder = await session(uri)
  await holder.query("begin; insert into a values (1, 1)")
  await killRunner(uri, FILES, async () => {
    if ((await indexes(uri)).length === 0) throw new Error("no index is in the making")
  })
  expect(await indexes(uri)).toEqual(["a_n invalid"])
  expect(await progress(uri)).toEqual([{ state: "running", statements: 0 }])
  // What the dead runner asked for still waits in Postgres; an operator ends it, and then the index stays invalid.
  await query(
    uri,
    "select pg_terminate_backend(pid) from pg_stat_activity where query like 'create index%' and datname = current_database()",
  )
  await holder.end()
  await migrate(uri, await migrationsOf(FILES))
  expect(await indexes(uri)).toEqual(["a_m", "a_n"])
  expect(await stateOf(uri)).toEqual(DONE)
})

test("where Postgres finished an index after its runner was killed, the index counts as made", async () => {
  const uri = await withA()
  const holder = await session(uri)
  await holder.query("begin; insert into a values (1, 1)")
  await killRunner(uri, FILES, async () => {
    if ((await indexes(uri)).length === 0) throw new Error("no index is in the making")
  })
  const [before] = await query<{ oid: number }>(uri, "select 'a_n'::regclass::oid as oid")
  await holder.end()
  await eventually("the index is whole", async () => expect(await indexes(uri)).toEqual(["a_n"]))
  await migrate(uri, await migrationsOf(FILES))
  expect(await query(uri, "select 'a_n'::regclass::oid as oid")).toEqual([before])
  expect(await stateOf(uri)).toEqual(DONE)
})

test("an index that somebody else made under the name is not taken for the step's", async () => {
  const uri = await withA()
  await query(uri, "create index a_n on a (m)")
  for (const _ of [1, 2]) {
    expect(await failureOf(migrate(uri, await migrationsOf(FILES)))).toContain(
      'MigrationFailed: 0002_i.sql:2: relation "a_n" already exists (42P07)',
    )
    expect(await progress(uri)).toEqual([{ state: "failed", statements: 0 }])
  }
})

test("an index without a name is refused, since a half-made one could not be found again", async () => {
  const uri = await withA()
  const step = "-- tenantry: no-transaction\n\ncreate index concurrently on a (n);"
  expect(await failureOf(migrate(uri, await migrationsOf({ ...A, "0002_i.sql": step })))).toContain(
    "0002_i.sql:3: give the index a name",
  )
  expect(await indexes(uri)).toEqual([])
})

test("broken SQL in such a step runs none of its statements", async () => {
  const uri = await withA()
  const step = "-- tenantry: no-transaction\ncreate index concurrently a_n on a (n);\nvacum a;"
  expect(await failureOf(migrate(uri, await migrationsOf({ ...A, "0002_i.sql": step })))).toContain(
    '0002_i.sql:3: syntax error at or near "vacum"',
  )
  expect(await indexes(uri)).toEqual([])
  expect(await stateOf(uri)).toEqual({ tables: ["a"], record: ["0001_a.sql done"] })
})

test("an index waits for long transactions without a lock limit, but not without an end", async () => {
  const uri = await withA()
  const holder = await session(uri)
  await holder.query("begin; insert into a values (1, 1)")
  const limits = { lockTimeout: 50, statementTimeout: 1500 }
  expect(await failureOf(migrate(uri, await migrationsOf(FILES), { limits }))).toContain(
    "TerminalError MigrationTimeout: 0002_i.sql:2: canceling statement due to statement timeout",
  )
  await holder.end()
  await migrate(uri, await migrationsOf(FILES), { limits })
  expect(await stateOf(uri)).toEqual(DONE)
})

test("undoing goes on where it was cut short, and nothing is applied until it is through", async () => {
  const uri = await server.database()
  const files = { ...A, "0002_i.sql": STEP }
  const migrations = await migrationsOf(files)
  await migrate(uri, migrations)
  const holder = await session(uri)
  await holder.query("begin; select n from a where n = 1")
  const limits = { lockTimeout: 50, statementTimeout: 500 }
  expect(await failureOf(undo(uri, migrations, { limits }))).toContain("MigrationTimeout: 0002_i.sql:5")
  expect(await progress(uri)).toEqual([{ state: "undoing", statements: 0 }])
  expect(await failureOf(migrate(uri, migrations))).toContain(
    'TerminalError MigrationHalfUndone: migration 0002_i.sql is half undone: finish it by "tenantry migrate down"',
  )
  await holder.end()
  expect(await undo(uri, migrations)).toEqual(["0002_i.sql"])
  expect(await indexes(uri)).toEqual([])
  expect(await stateOf(uri)).toEqual({ tables: ["a"], record: ["0001_a.sql done"] })
  await migrate(uri, migrations)
  expect(await indexes(uri)).toEqual(["a_m", "a_n"])
})
