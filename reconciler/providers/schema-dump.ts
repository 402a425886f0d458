/**
 * The schema of a database as SQL, for people who review a change of it: what it says comes from Postgres's own
 * functions that print definitions (pg_get_*def, format_type), in an order that depends on names only. Running it on
 * an empty database makes the same schema. Ownership, grants and what belongs to extensions are left out.
 */
import type { Client } from "pg"
import { connected } from "./postgres.ts"

/** Schemas that are not the tenants'. */
const OURS = "n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'tenantry')"
/** Not a part of an extension or of another object. */
const BY_ITSELF = (classOf: string, oid: string) =>
  `not exists (select from pg_depend x where x.classid = '${classOf}'::regclass and x.objid = ${oid} and x.deptype in ('e', 'i') and x.refobjid <> x.objid)`

/** Each query's rows are statements in `sql`; they come in the order in which they can be run. */
const SECTIONS: Record<string, string> = {
  schemas: `
    select format('create schema %I;', n.nspname) as sql from pg_namespace n
     where ${OURS} and n.nspname <> 'public' and ${BY_ITSELF("pg_namespace", "n.oid")} order by n.nspname collate "C"`,
  extensions: `
    select format('create extension %I with schema %I;', e.extname, n.nspname) as sql
      from pg_extension e join pg_namespace n on n.oid = e.extnamespace
     where e.extname <> 'plpgsql' order by e.extname collate "C"`,
  types: `
    select case t.typtype
             when 'e' then format(E'create type %s as enum (\\n  %s\\n);', format_type(t.oid, null),
               (select string_agg(quote_literal(enumlabel), E',\\n  ' order by enumsortorder) from pg_enum where enumtypid = t.oid))
             when 'c' then format(E'create type %s as (\\n  %s\\n);', format_type(t.oid, null),
               (select string_agg(format('%I %s', attname, format_type(atttypid, atttypmod)), E',\\n  ' order by attnum)
                  from pg_attribute where attrelid = t.typrelid and attnum > 0 and not attisdropped))
             when 'r' then format('create type %s as range (subtype = %s);', format_type(t.oid, null),
               (select format_type(rngsubtype, null) from pg_range where rngtypid = t.oid))
             else format('create domain %s as %s%s%s%s;', format_type(t.oid, null), format_type(t.typbasetype, t.typtypmod),
               ' default ' || t.typdefault, case when t.typnotnull then ' not null' end,
               (select string_agg(format(' constraint %I %s', conname, pg_get_constraintdef(oid)), '' order by conname collate "C")
                  from pg_constraint where contypid = t.oid and contype = 'c'))
           end as sql
      from pg_type t join pg_namespace n on n.oid = t.typnamespace left join pg_class c on c.oid = t.typrelid
     where ${OURS} and t.typtype in ('e', 'c', 'd', 'r') and (c.relkind is null or c.relkind = 'c')
       and ${BY_ITSELF("pg_type", "t.oid")}
     order by array_position('{e,d,c,r}'::"char"[], t.typtype), t.oid::regtype::text collate "C"`,
  sequences: `
    select format('create sequence %s as %s increment by %s minvalue %s maxvalue %s start with %s cache %s%s;', c.oid::regclass,
             format_type(s.seqtypid, null), s.seqincrement, s.seqmin, s.seqmax, s.seqstart, s.seqcache,
             case when s.seqcycle then ' cycle' end) as sql
      from pg_sequence s join pg_class c on c.oid = s.seqrelid join pg_namespace n on n.oid = c.relnamespace
     where ${OURS} and ${BY_ITSELF("pg_class", "c.oid")}
       and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'i')
     order by c.oid::regclass::text collate "C"`,
  functions: `
    select regexp_replace(pg_get_functiondef(p.oid), E'\\n+$', '') || ';' as sql
      from pg_proc p join pg_namespace n on n.oid = p.pronamespace
     where ${OURS} and p.prokind in ('f', 'p', 'w') and ${BY_ITSELF("pg_proc", "p.oid")}
     order by p.oid::regprocedure::text collate "C"`,
  tables: `
    select format(E'create %stable %s%s%s%s;', case c.relpersistence when 'u' then 'unlogged ' end, c.oid::regclass,
             case when c.relispartition then
               ' partition of ' || (select inhparent::regclass from pg_inherits where inhrelid = c.oid) || ' ' || pg_get_expr(c.relpartbound, c.oid)
             else coalesce(E' (\\n  ' || columns.list || E'\\n)', ' ()') ||
               coalesce(' inherits (' || (select string_agg(inhparent::regclass::text, ', ' order by inhseqno) from pg_inherits where inhrelid = c.oid) || ')', '')
             end,
             ' partition by ' || pg_get_partkeydef(c.oid), ' with (' || array_to_string(c.reloptions, ', ') || ')') as sql
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      cross join lateral (
        select string_agg(format('%I %s%s%s%s%s', a.attname, format_type(a.atttypid, a.atttypmod),
                 case when a.attcollation <> t.typcollation then ' collate ' || a.attcollation::regcollation end,
                 case a.attgenerated when 's' then format(' generated always as (%s) stored', pg_get_expr(d.adbin, d.adrelid))
                                     when 'v' then format(' generated always as (%s) virtual', pg_get_expr(d.adbin, d.adrelid))
                                     else ' default ' || pg_get_expr(d.adbin, d.adrelid) end,
                 case a.attidentity when 'a' then ' generated always as identity' when 'd' then ' generated by default as identity' end,
                 case when a.attnotnull then ' not null' end), E',\\n  ' order by a.attnum) as list
          from pg_attribute a join pg_type t on t.oid = a.atttypid
          left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
         where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attislocal) columns
     where ${OURS} and c.relkind in ('r', 'p') and ${BY_ITSELF("pg_class", "c.oid")}
     order by c.relispartition, exists (select from pg_inherits where inhrelid = c.oid), c.oid::regclass::text collate "C"`,
  ownedSequences: `
    select format('alter sequence %s owned by %s.%I;', c.oid::regclass, d.refobjid::regclass, a.attname) as sql
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'a' and d.refobjsubid > 0
      join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
     where ${OURS} and c.relkind = 'S' order by c.oid::regclass::text collate "C"`,
  constraints: `
    select format('alter table %s add constraint %I %s;', k.conrelid::regclass, k.conname, pg_get_constraintdef(k.oid)) as sql
      from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
     where ${OURS} and k.contype in ('p', 'u', 'x', 'c', 'f') and k.coninhcount = 0 and k.conparentid = 0
       and ${BY_ITSELF("pg_class", "c.oid")}
     order by array_position('{p,u,x,c,f}'::"char"[], k.contype), k.conrelid::regclass::text collate "C", k.conname collate "C"`,
  indexes: `
    select case c.relkind when 'p' then replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ') else pg_get_indexdef(i.indexrelid) end || ';' || case when i.indisvalid then '' else ' -- INVALID' end as sql
      from pg_index i join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace
      join pg_class own on own.oid = i.indexrelid
     where ${OURS} and not own.relispartition and c.relkind in ('r', 'p', 'm')
       and not exists (select from pg_constraint k where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x'))
       and ${BY_ITSELF("pg_class", "c.oid")}
     order by i.indrelid::regclass::text collate "C", own.relname collate "C"`,
  views: `
    select format(E'create %sview %s as\\n%s', case c.relkind when 'm' then 'materialized ' end, c.oid::regclass, pg_get_viewdef(c.oid)) as sql
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where ${OURS} and c.relkind in ('v', 'm') and ${BY_ITSELF("pg_class", "c.oid")} order by c.oid`,
  triggers: `
    select pg_get_triggerdef(t.oid) || ';' as sql
      from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
     where ${OURS} and not t.tgisinternal and t.tgparentid = 0 order by c.oid::regclass::text collate "C", t.tgname collate "C"`,
  policies: `
    select format('create policy %I on %s as %s for %s to %s%s%s;', p.policyname, c.oid::regclass, lower(p.permissive),
             lower(p.cmd), array_to_string(p.roles, ', '), ' using (' || p.qual || ')', ' with check (' || p.with_check || ')') as sql
      from pg_policies p join pg_namespace n on n.nspname = p.schemaname
      join pg_class c on c.relnamespace = n.oid and c.relname = p.tablename
     where ${OURS} order by c.oid::regclass::text collate "C", p.policyname collate "C"`,
  rowSecurity: `
    select format('alter table %s enable row level security;', c.oid::regclass) as sql
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where ${OURS} and c.relrowsecurity order by c.oid::regclass::text collate "C"`,
  comments: `
    select format('comment on %s %s is %L;', regexp_replace(i.type, '^.* (column|constraint)$', '\\1'), i.identity, d.description) as sql
      from pg_description d cross join lateral pg_identify_object(d.classoid, d.objoid, d.objsubid) i
     where d.classoid in ('pg_class'::regclass, 'pg_proc'::regclass, 'pg_type'::regclass, 'pg_constraint'::regclass)
       and coalesce(i.schema, split_part(i.identity, '.', 1)) !~ '^"?pg_'
       and coalesce(i.schema, split_part(i.identity, '.', 1)) not in ('information_schema', 'tenantry')
       and not exists (select from pg_depend x where x.classid = d.classoid and x.objid = d.objoid and x.deptype in ('e', 'p'))
     order by i.type collate "C", i.identity collate "C"`,
}

/** The schema of the database at `uri` as SQL that ends in a line break; its own record is not part of it. */
export async function dumpSchema(uri: string): Promise<string> {
  return connected(uri, async (client) => {
    const statements: string[] = []
    for (const query of Object.values(SECTIONS)) statements.push(...(await printed(client, query)))
    return `${statements.join("\n\n")}\n`
  })
}

async function printed(client: Client, query: string): Promise<string[]> {
  const { rows } = await client.query<{ sql: string }>(query)
  return rows.map(({ sql }) => sql)
}
