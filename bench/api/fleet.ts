/** Many tenants on one Postgres: their databases, roles and markers as the reconciler makes them, and their secrets. */
import { randomBytes, randomUUID } from "node:crypto"
import { once } from "node:events"
import { readdir, readFile } from "node:fs/promises"
import type { IncomingMessage } from "node:http"
import { request } from "node:https"
import path from "node:path"
import { text } from "node:stream/consumers"
import { Client } from "pg"
import { removePostgres, startPostgres } from "../../local/postgres.ts"
import { startVault, type VaultServer } from "../../local/vault.ts"
import { toTags } from "../../reconciler/ledger.ts"
import {
  databaseName,
  formatMarker,
  groupRole,
  loginRole,
  secretName,
  TenantId,
} from "../../reconciler/tenant.ts"
import { MIGRATIONS } from "../sql.ts"
import { handOut } from "../workers.ts"

export type BenchTenant = { id: TenantId; database: string; login: string; password: string }
export type Fleet = {
  tenants: readonly BenchTenant[]
  vault: VaultServer
  /** postgres://login:password@host:port/database, straight to the server. */
  uriOf: (tenant: BenchTenant) => string
  postgres: () => { host: string; port: number; superuserUri: string }
  /** Starts the server anew with so many places for sessions that are no superuser's. */
  limitConnections: (connections: number) => Promise<void>
  close: () => Promise<void>
}

/** Rows of every tenant's products. */
export const PRODUCTS = 200
const FLEET = "bench"
const TEMPLATE = "bench-template"
const RESERVED = 3
const AT_ONCE = 8
/** One credential for all tenants, for who cannot do with one each. */
export const EVERYBODY = { login: "bench_everybody", password: randomBytes(18).toString("base64url") }

/** Durability costs all contestants the same and is no part of what is measured here. */
const SETTINGS = {
  fsync: "off",
  full_page_writes: "off",
  autovacuum: "off",
  shared_buffers: "1GB",
  superuser_reserved_connections: String(RESERVED),
}

/** Starts Postgres and a vault below `folder`, with `count` tenants in both. */
export async function startFleet(folder: string, count: number): Promise<Fleet> {
  const directory = path.join(folder, "postgres")
  const start = (connections: number) =>
    startPostgres({
      directory,
      settings: { ...SETTINGS, max_connections: String(connections + RESERVED) },
    })
  let postgres = await start(100)
  const vault = await startVault({ directory: path.join(folder, "vault"), irregularPages: 0 })
  const uriOf = ({ database, login, password }: BenchTenant) =>
    `postgres://${login}:${password}@${postgres.host}:${postgres.port}/${encodeURIComponent(database)}`

  const close = async () => {
    await vault.close()
    await postgres.stop()
    await removePostgres(directory)
  }
  const tenants = Array.from({ length: count }, (_, n): BenchTenant => {
    const id = TenantId.parse(randomUUID())
    const password = randomBytes(18).toString("base64url")
    return { id, database: databaseName(`bench-${n}`), login: loginRole(id, "a"), password }
  })
  try {
    await makeTemplate(postgres.superuserUri)
    const token = await tokenOf(vault)
    const ca = await readFile(vault.caFile)
    await handOut(tenants, AT_ONCE, async (left) => {
      const admin = new Client({ connectionString: postgres.superuserUri })
      await admin.connect()
      for (const tenant of left) {
        await makeDatabase(admin, tenant)
        await putSecret(vault.url, { token, ca }, tenant, uriOf(tenant))
      }
      await admin.end()
    })
  } catch (error) {
    await close()
    throw error
  }
  return {
    tenants,
    vault,
    uriOf,
    postgres: () => postgres,
    async limitConnections(connections) {
      await postgres.stop()
      postgres = await start(connections)
    },
    close,
  }
}

async function makeTemplate(superuserUri: string): Promise<void> {
  const uri = new URL(superuserUri)
  const admin = new Client({ connectionString: uri.href })
  await admin.connect()
  await admin.query(`create database "${TEMPLATE}"`)
  await admin.query(`create role bench_data nologin`)
  await admin.query(
    `create role ${EVERYBODY.login} login password '${EVERYBODY.password}' in role bench_data`,
  )
  await admin.end()
  uri.pathname = `/${TEMPLATE}`
  const inside = new Client({ connectionString: uri.href })
  await inside.connect()
  const files = (await readdir(MIGRATIONS)).filter((file) => /^\d.*\.sql$/.test(file)).sort()
  for (const file of files) {
    const migration = await readFile(path.join(MIGRATIONS, file), "utf8")
    await inside.query(migration.split(/^-- tenantry: down$/m)[0]!)
  }
  await inside.query(
    `insert into products (name, price, description)
       select 'Product ' || n, n + 0.99, 'What there is to say of product ' || n from generate_series(1, ${PRODUCTS}) n;
     insert into users (name, email) select 'User ' || n, n || '@example.com' from generate_series(1, 20) n;
     grant select, insert, update, delete on all tables in schema public to bench_data`,
  )
  await inside.query("vacuum analyze")
  await inside.end()
}

async function makeDatabase(admin: Client, { id, database, login, password }: BenchTenant): Promise<void> {
  const group = groupRole(id)
  await admin.query(`create database "${database}" template "${TEMPLATE}"`)
  await admin.query(
    `comment on database "${database}" is '${formatMarker({ fleet: FLEET, tenant: id })}';
     revoke all on database "${database}" from public;
     create role "${group}" nologin in role bench_data;
     create role "${login}" login password '${password}' in role "${group}";
     grant connect on database "${database}" to "${group}", bench_data`,
  )
}

async function tokenOf({ identity }: VaultServer): Promise<string> {
  const query = `api-version=2019-08-01&resource=https://vault.azure.net&client_id=${identity.clients.reconciler}`
  const answer = await fetch(`${identity.endpoint}?${query}`, {
    headers: { "X-IDENTITY-HEADER": identity.header },
  })
  return ((await answer.json()) as { access_token: string }).access_token
}

async function putSecret(
  vault: string,
  { token, ca }: { token: string; ca: Buffer },
  { id, database }: BenchTenant,
  value: string,
): Promise<void> {
  const name = database.replace(/^products-/, "")
  const tags = toTags({
    id,
    fleet: FLEET,
    name,
    cell: "main",
    database,
    state: "active",
    schema: "1",
    slot: "a",
  })
  const put = request(`${vault}/secrets/${secretName(id)}?api-version=2026-04-01`, {
    method: "PUT",
    ca,
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}` },
  })
  put.end(JSON.stringify({ value, tags, attributes: { enabled: true } }))
  const [response] = (await once(put, "response")) as [IncomingMessage]
  const answer = await text(response)
  if (response.statusCode !== 200) throw new Error(`the vault answers ${response.statusCode}: ${answer}`)
}
