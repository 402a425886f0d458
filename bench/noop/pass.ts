/**
 * Passes, or the bare lists that they need, in a process of their own: node pass.ts ours|bare|diff; each message asks for
 * one turn, and the answer holds its figures. "diff" computes, after a pass, the diff that the pass need not compute.
 */
import { createApiClient } from "@neondatabase/api-client"
import { readConfig } from "../../reconciler/config.ts"
import { collectEarly } from "../../reconciler/heap.ts"
import { diff } from "../../reconciler/plan.ts"
import { createVaultClient } from "../../reconciler/providers/vault-client.ts"
import { reconcile, type Review } from "../../reconciler/reconcile.ts"
import { openWorld } from "../../reconciler/world.ts"

if (process.argv[2] !== "bare") collectEarly()
const config = readConfig(process.env)
const world = openWorld(config)

type Figures = Record<string, number>

/** A pass, and what it saw. Throws where something was to be done. */
async function pass(): Promise<{ ms: number; review: Review }> {
  const reviews: Review[] = []
  const started = performance.now()
  const { outcomes } = await reconcile(config.sources, world, {
    signal: new AbortController().signal,
    planned: (review) => reviews.push(review),
    progress: () => {},
  })
  const ms = performance.now() - started
  const review = reviews[0]!
  const { read, observed, plan } = review
  const size = observed.databases.length
  if (outcomes.length + plan.stalls.length + plan.withheld.length > 0 || read.tenants.length !== size)
    throw new Error(
      `a pass that was to do nothing read ${read.tenants.length} of ${size} tenants, and: ${JSON.stringify([read.problems, plan]).slice(0, 400)}`,
    )
  return { ms, review }
}

async function ours(): Promise<Figures> {
  const { ms } = await pass()
  return { ms, "MB resident": process.memoryUsage.rss() / 1e6 }
}

async function diffed(): Promise<Figures> {
  const { read, fleet, migrations, cells, observed } = (await pass()).review
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
  return { "diff ms": performance.now() - begun }
}

/** The same clients and the same calls side by side; nothing is made of the answers. */
async function lists(): Promise<Figures> {
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

const turn = { ours, bare: lists, diff: diffed }[process.argv[2]!]!
process.on("message", () => void turn().then((figures) => process.send!(figures)))
process.on("disconnect", () => process.exit())
