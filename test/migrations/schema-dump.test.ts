import { expect, test } from "vitest"
import { readMigrations } from "../../reconciler/migrations.ts"
import { migrate, undo } from "../../reconciler/providers/migrator.ts"
import { dumpSchema } from "../../reconciler/providers/schema-dump.ts"
import { query, useServer } from "./server.ts"

const server = useServer()

test("every step can be undone, and all of them together leave nothing", async () => {
  const uri = await server.database()
  const empty = await dumpSchema(uri)
  const migrations = await readMigrations("migrations")
  await migrate(uri, migrations)
  expect(await dumpSchema(uri)).not.toBe(empty)
  await undo(uri, migrations, { to: "0000" })
  expect(await dumpSchema(uri)).toBe(empty)
})

const EVERYTHING = `
create schema "other Place";
create type mood as enum ('fine', 'it''s bad');
create type pair as (a int, b text);
create type span as range (subtype = timestamptz);
create domain price as numeric(12, 2) not null check (value >= 0);
create sequence numbers increment by 5 cycle maxvalue 1000;
create function double(n int) returns int language sql immutable as $$ select n * 2 $$;
create function touch() returns trigger language plpgsql as $$ begin new.at = now(); return new; end $$;
create table "other Place".things (
  id bigint generated always as identity primary key,
  old serial,
  "Name" text collate "C" not null default 'x''y' check ("Name" <> ''),
  feeling mood default 'fine', cost price, two pair, during span,
  twice int generated always as (double(old)) stored,
  at timestamptz, exclude using gist (during with &&)
) with (fillfactor = 70);
create unlogged table child (thing bigint references "other Place".things on delete cascade deferrable, n int unique);
create table parted (id int, at date not null, primary key (id, at)) partition by range (at);
create table parted_1 partition of parted for values from ('2026-01-01') to ('2027-01-01');
create index on parted (at desc nulls last);
create table base (n int);
create table derived (m int) inherits (base);
create index things_lower on "other Place".things (lower("Name")) include (id) where cost > 0;
create view cheap as select id, "Name" from "other Place".things where cost < 1;
create view cheaper as select * from cheap;
create materialized view counts as select count(*) from child;
create trigger touched before update on "other Place".things for each row execute function touch();
comment on column "other Place".things."Name" is 'what it''s called';
comment on table child is 'c';
comment on function double(int) is 'd';
create policy positive on child for update using (n > 0) with check (n < 100);
alter table child enable row level security;
alter table child add constraint later check (n > 0) not valid;
`

test("the dump makes the same schema on an empty database, whatever kinds of things it holds", async () => {
  const [first, second] = [await server.database(), await server.database()]
  await query(first, EVERYTHING)
  const dump = await dumpSchema(first)
  await query(second, dump)
  expect(await dumpSchema(second)).toBe(dump)
  expect(dump).toMatchSnapshot()
})

const CHANGES = [
  "alter table child alter n set not null",
  "alter table child alter n set default 3",
  "alter policy positive on child using (true) with check (true)",
  "alter table child alter n type bigint",
  "alter table child validate constraint later",
  "alter table child drop constraint later",
  "alter type mood add value 'meh'",
  'drop trigger touched on "other Place".things',
  "create index on child (n)",
  "comment on table child is 'other'",
  "alter table child disable row level security",
  'create or replace view cheaper as select id, "Name" from cheap where id > 1',
  "create or replace function double(n int) returns int language sql immutable as $$ select n + n $$",
]

test("the dump shows every change", async () => {
  const uri = await server.database()
  await query(uri, EVERYTHING)
  let before = await dumpSchema(uri)
  for (const change of CHANGES) {
    await query(uri, change)
    const after = await dumpSchema(uri)
    expect(after, change).not.toBe(before)
    before = after
  }
})
