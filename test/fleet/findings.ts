/** What a world holds, looked at with the rights of those who own it. */
import { readdir } from "node:fs/promises"
import type { SecretProperties } from "@azure/keyvault-secrets"
import { readMigrations } from "../../reconciler/migrations.ts"
import type { FleetWorld } from "./world.ts"

type Database = { name: string; marker: string | null; isPublic: boolean }
type Role = { name: string; canLogin: boolean; isStrong: boolean; reaches: string[] }
export type Findings = {
  world: FleetWorld
  databases: ReadonlyMap<string, Database>
  roles: ReadonlyMap<string, Role>
  secrets: ReadonlyMap<string, SecretProperties>
  published: ReadonlyMap<string, readonly string[]>
  /** The migrations' files, and the version that the ledger should show. */
  steps: string
  version: string
}

/** Looks at all of it. */
export async function look(world: FleetWorld): Promise<Findings> {
  const secrets = new Map<string, SecretProperties>()
  for await (const secret of world.secrets.listPropertiesOfSecrets()) secrets.set(secret.name, secret)
  const [databases, roles, migrations, files] = await Promise.all([
    world.sql<Database>("postgres", DATABASES),
    world.sql<Role>("postgres", ROLES),
    readMigrations(world.migrationsDir),
    readdir(world.migrationsDir),
  ])
  const published = Map.groupBy(world.published(), ({ secret }) => secret)
  return {
    world,
    databases: new Map(databases.map((database) => [database.name, database])),
    roles: new Map(roles.map((role) => [role.name, role])),
    secrets,
    published: new Map(
      [...published].map(([secret, versions]) => [secret, [...new Set(versions.map(({ uri }) => uri))]]),
    ),
    steps: files
      .filter((file) => file.endsWith(".sql"))
      .toSorted()
      .join(" "),
    version: migrations.version,
  }
}

const DATABASES = `
  select datname as name, shobj_description(oid, 'pg_database') as marker,
         exists (select from aclexplode(coalesce(datacl, acldefault('d', datdba))) where grantee = 0) as "isPublic"
    from pg_database`

/** With the databases that each may connect to, but for those that everybody may. */
const ROLES = `
  select rolname as name, rolcanlogin as "canLogin",
         rolsuper or rolcreaterole or rolcreatedb or rolbypassrls or rolreplication as "isStrong",
         array(select datname::text from pg_database d
                where has_database_privilege(r.oid, d.oid, 'connect')
                  and not exists (select from aclexplode(coalesce(datacl, acldefault('d', datdba)))
                                   where grantee = 0 and privilege_type = 'CONNECT')) as reaches
    from pg_roles r where rolname like 'tenant\\_%'`
