/** Makes an empty fleet of any: everything goes but the strangers'. */
import { eventually } from "../eventually.ts"
import { STRANGE_DATABASES, STRANGE_SECRETS } from "./strangers.ts"
import type { Systems } from "./systems.ts"

/** How the databases are called that every Neon project and its Postgres have. */
export const OWN_DATABASES: readonly string[] = [
  "neondb",
  "neon_control",
  "postgres",
  "template0",
  "template1",
]

/** Past all soft deletion, once nothing of Neon's is under way. */
export async function emptySystems(systems: Systems): Promise<void> {
  await neonHasEnded(systems)
  await removeDatabases(systems)
  await removeSecrets(systems)
}

/** What a reconciler that is gone has asked of Neon may still be under way, and a fault that struck it take effect only now. */
const neonHasEnded = (systems: Systems) =>
  eventually("Neon's operations have ended", async () => {
    systems.neon.faults.clear()
    const operations = await systems.sql(
      "neon_control",
      "select status from operations where status not in ('finished', 'failed', 'cancelled', 'skipped')",
    )
    if (operations.length > 0) throw new Error(JSON.stringify(operations))
  })

async function removeDatabases(systems: Systems): Promise<void> {
  const kept = [...OWN_DATABASES, ...STRANGE_DATABASES]
  const databases = await systems.sql<{ name: string }>(
    "postgres",
    "select datname as name from pg_database where datname <> all($1)",
    [kept],
  )
  for (const { name } of databases) await systems.sql("postgres", `drop database "${name}" with (force)`)
  const roles = await systems.sql<{ name: string }>(
    "postgres",
    "select quote_ident(rolname) as name from pg_roles where rolname like 'tenant\\_%'",
  )
  if (roles.length > 0) await systems.sql("postgres", `drop role ${roles.map(({ name }) => name).join(", ")}`)
}

async function removeSecrets(systems: Systems): Promise<void> {
  for await (const { name } of systems.secrets.listPropertiesOfSecrets()) {
    if (!STRANGE_SECRETS.includes(name)) await systems.secrets.beginDeleteSecret(name)
  }
  for await (const { name } of systems.secrets.listDeletedSecrets()) {
    await systems.secrets.purgeDeletedSecret(name)
  }
}
