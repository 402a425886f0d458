/** A plan as a file: what a reviewer sees, and what an apply is held to. */
import { createHash } from "node:crypto"
import { readFile } from "node:fs/promises"
import { z } from "zod"
import { TerminalError } from "./errors.ts"
import { toTags } from "./ledger.ts"
import type { Review } from "./reconcile.ts"
import { formatProblem } from "./yaml-file.ts"

/** Grows when the shape changes in a way that a reader of the old one would misread. */
const VERSION = 1

/**
 * `basis`: a digest for each thing that the plan follows from, by name: files, settings, databases, secrets. It holds
 * no value of a secret.
 */
export type PlanDocument = {
  version: typeof VERSION
  changes: { tenant: string; name: string; kind: string; actions: string[] }[]
  withheld: {
    tenant: string
    name: string
    kind: string
    reason: string
    message: string
    approve?: string
  }[]
  stalls: { tenant: string; name: string; reason: string; message: string; approve?: string }[]
  problems: string[]
  unmanaged: { databases: readonly string[]; secrets: readonly string[] }
  basis: Record<string, string>
}

const digest = (value: unknown) =>
  createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 16)

/** The plan without what it follows from. */
export type PlanSummary = Omit<PlanDocument, "version" | "basis">

export const summarisePlan = ({ read, plan }: Pick<Review, "read" | "plan">): PlanSummary => ({
  changes: plan.changes.map(({ tenant, name, kind, actions }) => ({
    tenant,
    name,
    kind,
    actions: actions.map((action) => action.kind),
  })),
  withheld: plan.withheld.map(({ change, ...why }) => ({
    tenant: change.tenant,
    name: change.name,
    kind: change.kind,
    ...why,
  })),
  stalls: [...plan.stalls],
  problems: read.problems.map(formatProblem),
  unmanaged: plan.unmanaged,
})

export function planDocument(review: Review): PlanDocument {
  const { read, fleet, migrations, observed } = review
  const basis: [string, unknown][] = [
    ["fleet.yaml", fleet],
    ["migrations", migrations.version],
    ["faults in files", read.problems.map(formatProblem)],
    ...read.tenants.map(({ file, ...tenant }): [string, unknown] => [`file ${file}`, tenant]),
    ...observed.databases.map(({ name }): [string, unknown] => [`database ${name}`, name]),
    ...observed.secrets.map(({ name, enabled, owner, entry }): [string, unknown] => [
      `secret ${name}`,
      { enabled, owner, tags: entry && toTags(entry) },
    ]),
  ]
  return {
    version: VERSION,
    ...summarisePlan(review),
    basis: Object.fromEntries(basis.map(([name, value]) => [name, digest(value)])),
  }
}

const Saved = z.object({ version: z.literal(VERSION), basis: z.record(z.string(), z.string()) })
export type SavedPlan = z.infer<typeof Saved>

/** Reads what `tenantry plan --out` has written. Throws TerminalError where it is no such file. */
export async function readPlanDocument(file: string): Promise<SavedPlan> {
  const text = await readFile(file, "utf8").catch(() => {
    throw new TerminalError("BadPlan", `${file}: cannot be read; make it with: tenantry plan --out ${file}`)
  })
  try {
    return Saved.parse(JSON.parse(text))
  } catch {
    throw new TerminalError(
      "BadPlan",
      `${file}: is no plan of this version; make it with: tenantry plan --out ${file}`,
    )
  }
}

/** Throws TerminalError that names what is not as it was when the plan was made. */
export function assertUnchanged(saved: SavedPlan, reviewed: Review): void {
  const { basis } = planDocument(reviewed)
  const names = new Set([...Object.keys(saved.basis), ...Object.keys(basis)])
  const changed = [...names].filter((name) => saved.basis[name] !== basis[name]).toSorted()
  if (changed.length === 0) return
  const shown = changed.slice(0, 5).join(", ")
  const more = changed.length > 5 ? `, and ${changed.length - 5} more` : ""
  throw new TerminalError(
    "PlanStale",
    `the plan is out of date, because these changed since: ${shown}${more}; make a new one and review it`,
  )
}
