/** fleet.yaml: whose the databases are, and what may happen to them. */
import { z } from "zod"
import { TerminalError } from "./errors.ts"
import { FleetId } from "./tenant.ts"
import { formatProblem, readYamlFile } from "./yaml-file.ts"

export const Fleet = z.strictObject({
  /** Written into every marker and ledger entry. It must never change: what carries another id is not ours. */
  fleet: FleetId,
  /** What a removed file means: retire the tenant, or nothing at all. */
  deletion: z.enum(["retire", "forbid"], { error: 'must be "retire" or "forbid"' }),
  /** Days between a tenant's retirement and the end of its data. */
  gracePeriodDays: z.number({ error: "must be a number of days" }).min(0).max(3650),
  /** Removals in one pass: at most this many, and at most this share of the fleet; the stricter holds. */
  maxRemovals: z.int({ error: "must be a whole number" }).min(0),
  maxRemovalShare: z.number({ error: "must be a number between 0 and 1" }).min(0).max(1),
})
export type Fleet = z.infer<typeof Fleet>

/** Throws TerminalError with one line per fault. */
export async function readFleet(file: string): Promise<Fleet> {
  const { value, problems } = await readYamlFile(file, Fleet)
  if (value) return value
  throw new TerminalError("BadFleet", problems.map(formatProblem).join("\n"))
}
