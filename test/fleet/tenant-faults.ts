/** All that differs between one tenant as it is and as it should be. */
import type { Findings } from "./findings.ts"
import { query } from "./systems.ts"
import type { FleetWorld } from "./world.ts"

/** A tenant as it should be. What is not listed should not exist; `seed`: with the 50 rows of the demo seed. */
export type Expected = {
  id: string
  name: string
  state: "active" | "suspended" | "retired"
  seed?: boolean
  protected?: boolean
}

/** Where its rows are. */
export const databaseOf = ({ id, name, state }: Expected) =>
  state === "retired" ? `retired-${id}` : `products-${name}`

/** What differs between `found` and `wanted`, with a name for it; "" where nothing does. */
const differs = (what: string, found: unknown, wanted: unknown) =>
  JSON.stringify(found) === JSON.stringify(wanted)
    ? ""
    : `${what} is ${JSON.stringify(found)}, not ${JSON.stringify(wanted)}`

/** In words; nothing, where all is well. */
export async function faultsOfTenant(findings: Findings, tenant: Expected): Promise<string[]> {
  const found = [
    ...faultsOfDatabase(findings, tenant),
    ...faultsOfSecret(findings, tenant),
    ...faultsOfRoles(findings, tenant),
    ...(await faultsOfRows(findings, tenant)),
    ...(await faultsOfCredentials(findings, tenant)),
  ]
  return found.filter(Boolean).map((fault) => `${tenant.name} (${tenant.state}): ${fault}`)
}

function faultsOfDatabase({ world, databases }: Findings, tenant: Expected): string[] {
  const name = databaseOf(tenant)
  const database = databases.get(name)
  if (!database) return [`there is no database ${name}, only ${[...databases.keys()].join(", ")}`]
  return [
    differs(`marker of ${name}`, database.marker, `tenantry/1 fleet=${world.fleet} tenant=${tenant.id}`),
    differs(`right of PUBLIC on ${name}`, database.isPublic, false),
  ]
}

function faultsOfSecret({ world, secrets, version }: Findings, tenant: Expected): string[] {
  const secret = secrets.get(`tenant-${tenant.id}`)
  if (!secret) return ["it has no secret"]
  const { "retired-at": retiredAt, "written-at": _, slot, database, schema, ...tags } = secret.tags ?? {}
  const isRetired = tenant.state === "retired"
  return [
    differs("secret enabled", secret.enabled, tenant.state === "active"),
    differs("tags", sorted(tags), sorted(tagsOf(world, tenant))),
    differs("slot", slot === "a" || slot === "b", true),
    differs("a date of retirement", retiredAt !== undefined, isRetired),
    // A retired tenant's entry tells how it was until then.
    isRetired ? "" : differs("database in the ledger", database, databaseOf(tenant)),
    isRetired ? "" : differs("schema in the ledger", schema, version),
  ]
}

const tagsOf = (world: FleetWorld, tenant: Expected) => ({
  "managed-by": "tenantry",
  fleet: world.fleet,
  tenant: tenant.name,
  cell: world.neon.projectId,
  state: tenant.state,
  ...(tenant.protected ? { protected: "true" } : {}),
})

const sorted = (tags: object) => Object.entries(tags).toSorted(([a], [b]) => (a < b ? -1 : 1))

function faultsOfRoles({ roles }: Findings, tenant: Expected): string[] {
  const group = `tenant_${tenant.id}`
  const own = [group, `${group}_a`, `${group}_b`].map((name) => roles.get(name))
  if (own.includes(undefined)) return ["a role is missing"]
  const open = own.filter((role) => role!.canLogin)
  const reached = [...new Set(own.flatMap((role) => role!.reaches))]
  return [
    differs("number of open logins", open.length, tenant.state === "active" ? 1 : 0),
    differs("group's login", own[0]!.canLogin, false),
    differs(
      "roles with rights on the server",
      own.some((role) => role!.isStrong),
      false,
    ),
    differs("databases in reach", reached, [databaseOf(tenant)]),
  ]
}

type Content = { rows: string[]; others: number; steps: string }

/** Its rows and its schema, as they are in its database, whoever may read them. */
async function faultsOfRows({ world, databases, steps }: Findings, tenant: Expected): Promise<string[]> {
  const name = databaseOf(tenant)
  if (!databases.has(name)) return []
  const [content] = await world.sql<Content>(name, CONTENT).catch(() => [])
  if (!content) return [`${name} has no schema`]
  return [
    differs("rows", content.rows, (world.planted.get(tenant.id) ?? []).toSorted()),
    differs("rows that the test did not plant", content.others, tenant.seed ? 50 : 0),
    tenant.state === "active" ? differs("schema", content.steps, steps) : "",
  ]
}

const CONTENT = `
  select array(select name from products where description = 'planted' order by name collate "C") as rows,
         (select count(*)::int from products where description <> 'planted') as others,
         (select string_agg(name, ' ' order by name) from tenantry.migrations) as steps`

/** The published credential reads the tenant's own rows, and every one that it had before is refused. */
async function faultsOfCredentials(
  { world, roles, published }: Findings,
  tenant: Expected,
): Promise<string[]> {
  const known = published.get(`tenant-${tenant.id}`) ?? []
  const secret =
    tenant.state === "active"
      ? await world.secrets.getSecret(`tenant-${tenant.id}`).catch(() => undefined)
      : undefined
  const past = known.filter((uri) => uri !== secret?.value).slice(-3)
  const refusals = await Promise.all(
    past.map(async (uri) => ((await connects(uri)) ? "a credential of the past still opens a database" : "")),
  )
  if (!secret?.value) return tenant.state === "active" ? ["its secret cannot be read", ...refusals] : refusals
  if (!URL.canParse(secret.value)) return ["its secret holds no connection string", ...refusals]
  const { username } = new URL(secret.value)
  return [
    ...refusals,
    differs("the published login's state", roles.get(username)?.canLogin, true),
    ...(await faultsOfReading(secret.value, world, tenant)),
  ]
}

async function faultsOfReading(uri: string, world: FleetWorld, tenant: Expected): Promise<string[]> {
  try {
    const [seen] = await query<{ database: string; rows: string[] }>(
      uri,
      `select current_database() as database,
              array(select name from products where description = 'planted' order by name collate "C") as rows`,
    )
    return [
      differs("the database that its credential opens", seen!.database, databaseOf(tenant)),
      differs("rows that its credential reads", seen!.rows, (world.planted.get(tenant.id) ?? []).toSorted()),
    ]
  } catch (error) {
    return [`its credential does not work: ${(error as Error).message}`]
  }
}

const connects = (uri: string): Promise<boolean> =>
  query(uri, "select").then(
    () => true,
    () => false,
  )
