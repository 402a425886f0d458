/** What lies beside a fleet and is not its own, and the proof that nobody touched it. */
import type { SecretClient } from "@azure/keyvault-secrets"
import { query, type Systems } from "./systems.ts"

/** Another fleet's tenant, and one nobody's. */
const OTHERS_TENANT = "0f0f0f0f-0000-4000-8000-00000000000f"

const DATABASES = [
  // Named as ours, and marked by nobody.
  { name: "products-Stranger", comment: null },
  // Another fleet's, in every respect.
  { name: "products-Elsewhere", comment: `tenantry/1 fleet=elsewhere tenant=${OTHERS_TENANT}` },
  { name: "analytics", comment: "a warehouse" },
]

const SECRETS = [
  { name: "smtp-password", value: "not-ours-1", tags: { team: "mail" } },
  {
    name: `tenant-${OTHERS_TENANT}`,
    value: "postgres://somebody:else@127.0.0.1:1/products-Elsewhere",
    tags: {
      "managed-by": "tenantry",
      fleet: "elsewhere",
      tenant: "Elsewhere",
      cell: "elsewhere",
      database: "products-Elsewhere",
      state: "active",
      schema: "0001:0123456789abcdef",
      slot: "a",
    },
  },
]

export const STRANGE_DATABASES: readonly string[] = DATABASES.map(({ name }) => name)
export const STRANGE_SECRETS: readonly string[] = SECRETS.map(({ name }) => name)

/** Puts them there, with rows that only their owners know. */
export async function plantStrangers(systems: Systems): Promise<void> {
  const { neon, postgres, sql, secrets } = systems
  for (const { name, comment } of DATABASES) {
    await sql("postgres", `create database "${name}" owner "${neon.owner}" template template0`)
    const uri = `postgres://${neon.owner}:${neon.ownerPassword}@${postgres.host}:${postgres.port}/${name}`
    await query(uri, `create table kept (text text); insert into kept values ('rows of ${name}')`)
    if (comment) await sql("postgres", `comment on database "${name}" is '${comment}'`)
  }
  for (const { name, value, tags } of SECRETS) await secrets.setSecret(name, value, { tags })
}

/** Everything about them that a write would change, as one text. */
export async function fingerprint({ sql, secrets }: Systems): Promise<string> {
  const databases = await Promise.all(
    DATABASES.map(async ({ name }) => {
      const [row] = await sql("postgres", CATALOGUE, [name])
      return { name, row, content: row ? await sql(name, CONTENT) : undefined }
    }),
  )
  const kept = await Promise.all(SECRETS.map(({ name }) => readSecret(secrets, name)))
  return JSON.stringify({ databases, secrets: kept }, undefined, 1)
}

const CATALOGUE = `
  select oid, datname, datdba::regrole::text as owner, datacl::text, datallowconn, datconnlimit,
         shobj_description(oid, 'pg_database') as comment
    from pg_database where datname = $1`

const CONTENT = `
  select (select string_agg(text, ',') from kept) as rows,
         (select string_agg(c.oid::regclass || coalesce(c.relacl::text, '') || c.relowner::regrole, ' ' order by c.oid)
            from pg_class c where c.relnamespace = 'public'::regnamespace) as relations,
         (select string_agg(nspname || coalesce(nspacl::text, ''), ' ' order by nspname) from pg_namespace
           where nspname !~ '^pg_') as schemas,
         (select string_agg(defaclacl::text, ' ') from pg_default_acl) as defaults`

async function readSecret(secrets: SecretClient, name: string): Promise<unknown> {
  const { value, properties } = await secrets.getSecret(name)
  const { version, tags, enabled, updatedOn } = properties
  return { name, value, version, tags, enabled, updatedOn }
}
