/** Looks at the world: complete, or it throws. Absence is never guessed from a failure. */
import { type Observed, withMarkers } from "./plan.ts"
import { readMarkers } from "./providers/postgres.ts"
import { MAINTENANCE_DATABASE, ownerUris, type World } from "./world.ts"

/** The lists of Neon and of the vault: one call per cell and one per 25 secrets; no database is woken. */
export async function observe({ neon, vault }: World): Promise<Observed> {
  const [names, secrets] = await Promise.all([neon.list(), vault.list()])
  return { databases: names.map((name) => ({ name, marker: undefined })), secrets }
}

/** The same with each database's marker, which only the databases' server knows. */
export async function observeMarkers(world: World, observed: Observed): Promise<Observed> {
  const existing = observed.databases[0]?.name
  if (!existing) return observed
  const uri = await ownerUris(world).direct(existing, MAINTENANCE_DATABASE)
  return withMarkers(observed, await world.sql(() => readMarkers(uri)))
}
