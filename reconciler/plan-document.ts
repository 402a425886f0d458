/** A plan as a file: what a reviewer and other programs see, and what an apply is held to. */
import { createHash } from "node:crypto"
import { readFile } from "node:fs/promises"
import { z } from "zod"
import { placeNamer } from "./cells.ts"
import { TerminalError } from "./errors.ts"
import { ApprovalVerb, toTags } from "./ledger.ts"
import type { Review } from "./reconcile.ts"
import { faultsOf, isRemoval, isWaiting } from "./render-plan.ts"

/** Grows when the shape changes in a way that a reader of the old one would misread. */
const VERSION = 1

const Why = {
  reason: z.string().meta({ description: "In CamelCase, for programs." }),
  message: z.string().meta({ description: "For people: what is the matter and what to do." }),
  approve: ApprovalVerb.optional().meta({
    description: "What `tenantry approve` takes, where an approval helps.",
  }),
}
const Subject = { tenant: z.string().meta({ description: "The tenant's id." }), name: z.string() }
const Counts = z.object({
  changes: z.int(),
  removals: z.int().meta({ description: "Of the changes: retire and purge." }),
  waiting: z.int().meta({ description: "Withheld until it is their turn; nobody need act." }),
  withheld: z.int().meta({ description: "Withheld until a person acts." }),
  stalls: z.int(),
  problems: z.int(),
})

/** The shape of `tenantry plan --json`. It holds no value of a secret. */
export const PlanDocument = z.object({
  version: z.literal(VERSION),
  fleet: z.string(),
  counts: Counts,
  changes: z.array(
    z.object({
      ...Subject,
      cell: z
        .string()
        .optional()
        .meta({ description: "The Neon project of its database, where more than one is configured." }),
      kind: z.string(),
      removal: z.boolean(),
      actions: z.array(z.string()),
    }),
  ),
  withheld: z.array(z.object({ ...Subject, kind: z.string(), waiting: z.boolean(), ...Why })),
  stalls: z.array(z.object({ ...Subject, ...Why })),
  problems: z.array(z.string()).meta({ description: "Faults in files: file:line: key: message." }),
  unmanaged: z.object({ databases: z.array(z.string()), secrets: z.array(z.string()) }),
  basis: z.record(z.string(), z.string()).meta({
    description: "A digest for each file, setting, database and secret that the plan follows from, by name.",
  }),
})
export type PlanDocument = z.infer<typeof PlanDocument>

/** The plan without what it follows from. */
export type PlanSummary = Pick<PlanDocument, "changes" | "withheld" | "stalls" | "problems" | "unmanaged">

export const summarisePlan = (
  review: Pick<Review, "read" | "migrations" | "cells" | "plan">,
): PlanSummary => {
  const { cells, plan } = review
  return {
    changes: plan.changes.map((change) => ({
      tenant: change.tenant,
      name: change.name,
      ...(cells.length > 1 ? { cell: change.cell } : {}),
      kind: change.kind,
      removal: isRemoval(change),
      actions: change.actions.map((action) => action.kind),
    })),
    withheld: plan.withheld.map((withheld) => ({
      tenant: withheld.change.tenant,
      name: withheld.change.name,
      kind: withheld.change.kind,
      waiting: isWaiting(withheld),
      ...why(withheld),
    })),
    stalls: plan.stalls.map((stall) => ({ tenant: stall.tenant, name: stall.name, ...why(stall) })),
    problems: faultsOf(review),
    unmanaged: {
      databases: plan.unmanaged.databases.map(placeNamer(cells)),
      secrets: [...plan.unmanaged.secrets],
    },
  }
}

const digest = (value: unknown) =>
  createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 16)

export function planDocument(review: Review): PlanDocument {
  const { read, fleet, migrations, cells, observed, plan } = review
  const faults = faultsOf(review)
  const basis: [string, unknown][] = [
    ["fleet.yaml", fleet],
    ["migrations", migrations.version],
    ["faults in files", faults],
    ...read.tenants.map(({ file, ...tenant }): [string, unknown] => [`file ${file}`, tenant]),
    ...observed.databases.map(placeNamer(cells)).map((name): [string, unknown] => [`database ${name}`, name]),
    ...observed.secrets.map(({ name, enabled, owner, entry }): [string, unknown] => [
      `secret ${name}`,
      { enabled, owner, tags: entry && toTags(entry) },
    ]),
  ]
  const waiting = plan.withheld.filter(isWaiting).length
  return {
    version: VERSION,
    fleet: fleet.fleet,
    counts: {
      changes: plan.changes.length,
      removals: plan.changes.filter(isRemoval).length,
      waiting,
      withheld: plan.withheld.length - waiting,
      stalls: plan.stalls.length,
      problems: faults.length,
    },
    ...summarisePlan(review),
    basis: Object.fromEntries(basis.map(([name, value]) => [name, digest(value)])),
  }
}

const why = ({ reason, message, approve }: { reason: string; message: string; approve?: ApprovalVerb }) => ({
  reason,
  message,
  ...(approve ? { approve } : {}),
})

/** Reads what `tenantry plan --out` has written. Throws TerminalError where it is no such file. */
export async function readPlanDocument(file: string): Promise<PlanDocument> {
  const text = await readFile(file, "utf8").catch(() => {
    throw new TerminalError("BadPlan", `${file}: cannot be read; make it with: tenantry plan --out ${file}`)
  })
  try {
    return PlanDocument.parse(JSON.parse(text))
  } catch {
    throw new TerminalError(
      "BadPlan",
      `${file}: is no plan of this version; make it with: tenantry plan --out ${file}`,
    )
  }
}

/** Throws TerminalError that names what is not as it was when the plan was made. */
export function assertUnchanged(saved: PlanDocument, reviewed: Review): void {
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
