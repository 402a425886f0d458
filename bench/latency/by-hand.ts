/**
 * A tenant made by hand in the running world, with the bare clients: what each part takes, in milliseconds. A program,
 * because the vault's certificate must be trusted from the start: node by-hand.ts; each message is a tenant's id, name
 * and the API's address.
 */
import { setTimeout as sleep } from "node:timers/promises"
import { DefaultAzureCredential } from "@azure/identity"
import { SecretClient } from "@azure/keyvault-secrets"
import { createApiClient, OperationStatus } from "@neondatabase/api-client"
import { escapeIdentifier as quote } from "pg"
import { toTags } from "../../reconciler/ledger.ts"
import { readMigrations } from "../../reconciler/migrations.ts"
import { withDatabase, withLogin } from "../../reconciler/providers/postgres.ts"
import {
  databaseName,
  formatMarker,
  groupRole,
  loginRole,
  secretName,
  type TenantId,
} from "../../reconciler/tenant.ts"
import { ask, inOneTransaction, MIGRATIONS } from "../sql.ts"

const env = process.env as Record<string, string>
const [project, branch, owner] = [
  env["NEON_PROJECT_ID"]!,
  env["NEON_BRANCH_ID"]!,
  env["NEON_DATABASE_OWNER"]!,
]
const neon = createApiClient({ apiKey: env["NEON_API_KEY"]!, baseURL: env["NEON_API_URL"]! })
const vault = new SecretClient(
  env["KEY_VAULT_URL"]!,
  new DefaultAzureCredential({ managedIdentityClientId: env["AZURE_CLIENT_ID"]! }),
  { disableChallengeResourceVerification: true },
)
// Awaited where it is used: a message that comes before anybody listens is lost.
const migrations = readMigrations(MIGRATIONS)

async function make(id: TenantId, name: string): Promise<Record<string, number>> {
  const database = databaseName(name)
  const { steps, version } = await migrations
  const parts: Record<string, number> = {}
  const timed = async <T>(part: string, work: () => Promise<T>): Promise<T> => {
    const started = performance.now()
    const result = await work()
    parts[`${part} ms`] = performance.now() - started
    return result
  }
  await timed("create", async () => {
    const { data } = await neon.createProjectBranchDatabase(project, branch, {
      database: { name: database, owner_name: owner },
    })
    for (const { id: operation } of data.operations) {
      for (;;) {
        const { status } = (await neon.getProjectOperation(project, operation)).data.operation
        if (status === OperationStatus.Finished || status === OperationStatus.Skipped) break
        if (status === OperationStatus.Failed) throw new Error(`the operation ${operation} has failed`)
        await sleep(5)
      }
    }
  })
  const { uri } = (
    await neon.getConnectionUri({
      projectId: project,
      branch_id: branch,
      database_name: database,
      role_name: owner,
    })
  ).data
  const [group, login, password] = [groupRole(id), loginRole(id, "a"), "by-hand-only"]
  await timed("roles", () =>
    ask(
      uri,
      `comment on database ${quote(database)} is '${formatMarker({ fleet: "by-hand", tenant: id })}';
       revoke all on database ${quote(database)} from public;
       create role ${quote(group)} nologin;
       create role ${quote(login)} login password '${password}' in role ${quote(group)};
       grant connect on database ${quote(database)} to ${quote(group)};
       alter default privileges grant select, insert, update, delete on tables to ${quote(group)}`,
    ),
  )
  await timed("migrate", () => ask(uri, inOneTransaction(...steps.map(({ up }) => up.sql))))
  const tenantUri = withLogin(withDatabase(uri, database), login, password)
  await timed("secret", () => {
    const entry = {
      id,
      fleet: "by-hand",
      name,
      cell: project,
      database,
      state: "active",
      schema: version,
      slot: "a",
    } as const
    return vault.setSecret(secretName(id), tenantUri, { enabled: true, tags: toTags(entry) })
  })
  await timed("first query", () => ask(tenantUri, "select * from products order by id limit 20"))
  return parts
}

process.on(
  "message",
  ({ id, name }: { id: TenantId; name: string }) => void make(id, name).then((parts) => process.send!(parts)),
)
process.on("disconnect", () => process.exit())
