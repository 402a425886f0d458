/** What must hold at every moment, also while a reconciler is at work or has just been killed. */
import { parseMarker } from "../../reconciler/tenant.ts"
import { fingerprint } from "./strangers.ts"
import { query } from "./systems.ts"
import type { FleetWorld } from "./world.ts"

/** Offences, in words; a database that moves while it is looked at is looked at again. */
export async function offences(world: FleetWorld): Promise<string[]> {
  return [
    ...(await rowsAstray(world)),
    ...(await credentialsAstray(world)),
    ...((await fingerprint(world)) === world.strangers ? [] : ["what is not this fleet's was touched"]),
    ...credentialsPrinted(world),
  ]
}

const PLANTED = "select name from products where description = 'planted' order by name collate \"C\""

/** Rows that were planted and that the tenant's own database has no more, or that another's has. */
async function rowsAstray(world: FleetWorld): Promise<string[]> {
  for (let attempt = 1; ; attempt++) {
    const found = await lookForRows(world)
    // A rename between two looks hides a database for a moment, which a loss does not.
    if (found.length === 0 || attempt === 5) return found
  }
}

async function lookForRows(world: FleetWorld): Promise<string[]> {
  const databases = await world.sql<{ name: string; comment: string | null }>(
    "postgres",
    "select datname as name, shobj_description(oid, 'pg_database') as comment from pg_database",
  )
  const own = databases.flatMap(({ name, comment }) => {
    const marker = parseMarker(comment)
    return marker?.fleet === world.fleet ? [{ name, tenant: marker.tenant }] : []
  })
  const seen = new Map<string, string[]>()
  const wrong: string[] = []
  for (const { name, tenant } of own) {
    const rows = await world.sql<{ name: string }>(name, PLANTED).catch(() => [])
    if (seen.has(tenant)) wrong.push(`${tenant} has a second database, ${name}`)
    seen.set(
      tenant,
      rows.map((row) => row.name),
    )
    const strange = rows.filter((row) => !row.name.startsWith(tenant))
    if (strange.length > 0) wrong.push(`${name} of ${tenant} holds another's rows: ${strange[0]!.name}`)
  }
  for (const [tenant, rows] of world.planted) {
    const lost = rows.filter((row) => !seen.get(tenant)?.includes(row))
    if (lost.length > 0) wrong.push(`${tenant} has lost ${lost.length} of ${rows.length} rows`)
  }
  return wrong
}

/** Credentials, of now and of the past, that open a database with another tenant's rows. */
async function credentialsAstray(world: FleetWorld): Promise<string[]> {
  const uris = new Map(world.published().map(({ secret, uri }) => [uri, secret]))
  const newest = [...uris].slice(-20)
  const found = await Promise.all(
    newest.map(async ([uri, secret]) => {
      const rows = await query<{ name: string }>(uri, PLANTED).catch(() => [])
      const strange = rows.filter(({ name }) => !`tenant-${name}`.startsWith(secret))
      return strange.length > 0 ? [`the credential of ${secret} reads ${strange[0]!.name}`] : []
    }),
  )
  return found.flat()
}

function credentialsPrinted(world: FleetWorld): string[] {
  const passwords = world.published().map(({ uri }) => new URL(uri).password)
  const told = [...world.keys, ...passwords].filter((secret) => world.printed().includes(secret))
  return told.length > 0 ? [`the reconciler has printed ${told.length} credentials`] : []
}
