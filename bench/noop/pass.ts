/**
 * Passes, or the bare lists that they need, in a process of their own: node pass.ts ours|bare; each message asks for
 * one turn, and the answer holds its figures.
 */
import { createApiClient } from "@neondatabase/api-client"
import { readConfig } from "../../reconciler/config.ts"
import { diff } from "../../reconciler/plan.ts"
import { createVaultClient } from "../../reconciler/providers/vault-client.ts"
import { reconcile, type Review } from "../../reconciler/reconcile.ts"
import { openWorld } from "../../reconciler/world.ts"

const config = readConfig(process.env)
const world = openWorld(config)

async function pass(): Promise<Record<string, number>> {
  const reviews: Review[] = []
  const started = performance.now()
  const { outcomes } = await reconcile(config.sources, world, {
    signal: new AbortController().signal,
    planned: (review) => reviews.push(review),
    progress: () => {},
  })
  const ms = performance.now() - started
  const { read, fleet, migrations, cells, observed, plan } = reviews[0]!
  const size = observed.databases.length
  if (outcomes.length + plan.stalls.length + plan.withheld.length > 0 || read.tenants.length !== size)
    throw new Error(
      `a pass that was to do nothing read ${read.tenants.length} of ${size} tenants, and: ${JSON.stringify([read.problems, plan]).slice(0, 400)}`,
    )
  const desired = {
    fleet: fleet.fleet,
    cells,
    tenants: read.tenants,
    held: read.held,
    version: migrations.version,
    gracePeriod: 0,
  }
  const begun = performance.now()
  diff(desired, observed, Date.now())
  return { ms, "diff ms": performance.now() - begun, "MB resident": process.memoryUsage.rss() / 1e6 }
}

/** The same clients and the same calls side by side; nothing is made of the answers. */
async function lists(): Promise<Record<string, number>> {
  const { apiUrl, apiKey, cells } = config.neon
  const client = (neon ??= createApiClient({ baseURL: apiUrl, apiKey }))
  vault ??= createVaultClient(config.vaultUrl)
  const started = performance.now()
  const secrets = async () => {
    for await (const _ of vault!.listPropertiesOfSecrets().byPage({ maxPageSize: 25 })) void _
  }
  const databases = cells.map(({ projectId, branchId }) =>
    client.listProjectBranchDatabases(projectId, branchId),
  )
  await Promise.all([...databases, secrets()])
  return { ms: performance.now() - started, "MB resident": process.memoryUsage.rss() / 1e6 }
}
let neon: ReturnType<typeof createApiClient> | undefined
let vault: ReturnType<typeof createVaultClient> | undefined

const turn = process.argv[2] === "ours" ? pass : lists
process.on("message", () => void turn().then((figures) => process.send!(figures)))
process.on("disconnect", () => process.exit())
