import path from "node:path"
import { expect, test } from "vitest"
import { formatWarning, lintMigrations } from "../../reconciler/migration-lint.ts"
import { folderOf } from "../reconciler/folder.ts"

async function lint(sql: string): Promise<string[]> {
  const folder = await folderOf({ "0001_a.sql": sql })
  return (await lintMigrations(folder)).map((warning) =>
    formatWarning(warning).replace(`${folder}${path.sep}`, ""),
  )
}
/** "line rule" of each warning. */
const rules = async (sql: string) => (await lint(sql)).map((line) => line.split(":").slice(1, 3).join(""))

test.for<[string, string]>([
  ["create index i on t (a)", "index-blocks-writes"],
  ["create unique index on s.t (a)", "index-blocks-writes"],
  ["drop index i", "drop-index-blocks"],
  ["alter table t alter a type bigint", "type-change"],
  ["alter table t alter a type bigint using a::bigint", "type-change"],
  ["alter table t add column a int not null", "not-null-without-default"],
  ["alter table t add column a uuid not null default gen_random_uuid()", "table-rewrite"],
  ["alter table t add column a timestamptz default clock_timestamp()", "table-rewrite"],
  ["alter table t add column a float default 1 + random()", "table-rewrite"],
  ["alter table t add column a bigserial", "table-rewrite"],
  ["alter table t add column a int generated always as identity", "table-rewrite"],
  ["alter table t add column a int generated always as (b + 1) stored", "table-rewrite"],
  ["alter table t set unlogged", "table-rewrite"],
  ["alter table t set tablespace fast", "table-rewrite"],
  ["vacuum full t", "table-rewrite"],
  ["cluster t using i", "table-rewrite"],
  ["refresh materialized view v", "table-rewrite"],
  ["alter table t alter a set not null", "set-not-null"],
  ["alter table t add constraint c check (a > 0)", "constraint-scan"],
  ["alter table t add constraint c foreign key (a) references u (id)", "constraint-scan"],
  ["alter table t add column a int default 1 references u (id)", "constraint-scan"],
  ["alter table t add constraint c unique (a)", "unique-blocks"],
  ["alter table t add primary key (a)", "unique-blocks"],
  ["alter table t add column a int unique", "unique-blocks"],
  ["alter table t drop column a", "drop-column"],
  ["drop table t", "drop-table"],
  ["alter table t rename to u", "rename"],
  ["alter table t rename column a to b", "rename"],
  ["truncate t", "truncate"],
])("%s: %s", async ([sql, rule]) => {
  expect(await rules(`-- first\n\n${sql};`)).toEqual([`3 ${rule}`])
})

test.for([
  "create index concurrently i on t (a)",
  "drop index concurrently i",
  "alter table t add column a int",
  "alter table t add column a int not null default 0",
  "alter table t add column a timestamptz not null default now()",
  "alter table t add column a int references u (id)",
  "alter table t add column a int generated always as (b + 1) virtual",
  "alter table t alter a set default 3",
  "alter table t alter a drop not null",
  "alter table t add constraint c check (a > 0) not valid",
  "alter table t add constraint c foreign key (a) references u (id) not valid",
  "alter table t validate constraint c",
  "alter table t add constraint c unique using index i",
  "create table t (a int primary key references u (id), b text not null unique check (b <> ''))",
  "create view v as select 1; drop view v",
  "insert into t values (1); update t set a = 2",
  "refresh materialized view concurrently v",
  "vacuum analyze t",
])("nothing speaks against: %s", async (sql) => {
  expect(await lint(`${sql};`)).toEqual([])
})

test("a table that the same file makes is not in use yet", async () => {
  const made = `create table t (a int);
create index on t (a); create index on public.t (a);
alter table t add column b int not null;
alter table t rename to u;
alter table u add unique (a);
drop table u;`
  expect(await lint(made)).toEqual([])
  expect(await rules("create index on t (a);\ncreate table t (a int);")).toEqual(["1 index-blocks-writes"])
  expect(await rules("create table other.t (a int);\ncreate index on t (a);")).toEqual([
    "2 index-blocks-writes",
  ])
})

test("a warning names file, line, rule and the safer way", async () => {
  expect(await lint("select 'ü';\n\n  alter table products\n    add column stock int not null;")).toEqual([
    "0001_a.sql:3: not-null-without-default: ADD COLUMN products.stock NOT NULL fails on a table that has rows, and in a version of the program that does not know the column: add it with a DEFAULT, or without NOT NULL",
  ])
})

test("each command of a statement is looked at", async () => {
  expect(await rules("alter table t drop column a, alter b set not null, add c int;")).toEqual([
    "1 drop-column",
    "1 set-not-null",
  ])
})

const two = (above: string) => `${above}drop table a;\ndrop table b;`

test("a directive accepts its rule for the next statement, or from the top for the whole file", async () => {
  expect(await rules(two(""))).toEqual(["1 drop-table", "2 drop-table"])
  expect(await rules(two("-- tenantry: allow drop-table\n"))).toEqual([])
  expect(await rules(two("-- tenantry: allow drop-table -- nobody has used it for a year\n"))).toEqual([])
  expect(await rules(two("-- tenantry: allow rename\n"))).toEqual(["2 drop-table", "3 drop-table"])
  expect(
    await rules("select 1;\ndrop table a;\n-- tenantry: allow drop-table\ndrop table b;\ndrop table c;"),
  ).toEqual(["2 drop-table", "5 drop-table"])
})

test("a directive with a rule that is not known is said so", async () => {
  expect(await lint("select 1;\n-- tenantry: allow drop-tables\nselect 2;")).toEqual([
    expect.stringMatching(/^0001_a.sql:2: unknown-rule: there is no rule "drop-tables" to allow; there are /),
  ])
})

test("what is no SQL is found before any database sees it", async () => {
  expect(await lint("select 1;\nselct 2;")).toEqual(['0001_a.sql:2: syntax: syntax error at or near "selct"'])
})

test("down parts are not looked at", async () => {
  expect(await lint("create table b ();\n-- tenantry: down\ndrop table b; drop table c;")).toEqual([])
})

test("nothing speaks against the repository's own steps", async () => {
  expect(await lintMigrations("migrations")).toEqual([])
})
