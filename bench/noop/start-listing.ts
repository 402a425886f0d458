/** The servers of listing.ts for a fleet that is on file, and the environment of a reconciler that works with them. */
import path from "node:path"
import { HEAP } from "../../local/part.ts"
import { startServing } from "../child.ts"
import { MIGRATIONS } from "../sql.ts"
import { branchOf, projectsOf, writeFleet } from "./fleet.ts"

/** Writes `count` tenants' files below `folder`, and starts servers that list just them. */
export async function startListing(folder: string, count: number) {
  await writeFleet(folder, count)
  const [first, ...others] = projectsOf(count).map((project) => ({ project, branch: branchOf(project) }))
  const { said, close } = await startServing(path.join(import.meta.dirname, "listing.ts"), [
    path.join(folder, "listed.json"),
    folder,
  ])
  const environment: Record<string, string> = {
    ...(JSON.parse(said) as Record<string, string>),
    TENANTS_DIR: path.join(folder, "tenants"),
    FLEET_FILE: path.join(folder, "fleet.yaml"),
    MIGRATIONS_DIR: MIGRATIONS,
    NEON_API_KEY: "a-key-that-opens-nothing",
    NEON_PROJECT_ID: first!.project,
    NEON_BRANCH_ID: first!.branch,
    NEON_CELLS: others.map(({ project, branch }) => `${project}/${branch}`).join(","),
    // Neon takes 20 lists at once, but not again and again, as here.
    NEON_REQUESTS_PER_SECOND: "10000",
    NEON_DATABASE_OWNER: "owner",
    NODE_OPTIONS: HEAP,
  }
  return { environment, close }
}
