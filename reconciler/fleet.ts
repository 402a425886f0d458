/** fleet.yaml: whose the databases are, and what may happen to them. */
import { z } from "zod"
import { TerminalError } from "./errors.ts"
import { DEFAULT_LIMITS, type StepLimits } from "./migrations.ts"
import { FleetId } from "./tenant.ts"
import { formatProblem, readYamlFile } from "./yaml-file.ts"

const seconds = z
  .number({ error: "must be a number of seconds" })
  .min(0.1, { error: "must be from 0.1 to 86400 seconds" })
  .max(86_400, { error: "must be from 0.1 to 86400 seconds" })
const number = (error: string, min: number, max: number) =>
  z.number({ error }).min(min, { error }).max(max, { error })
const count = (least: number) => {
  const error = `must be a whole number from ${least} to 100000`
  return z.int({ error }).min(least, { error }).max(100_000, { error })
}

/** Limits for each statement of a migration. */
const Migrating = z.strictObject(
  {
    /** A statement that waits longer for a lock gives up, and is tried again later. */
    lockTimeoutSeconds: seconds.optional(),
    /** A statement that takes longer is cancelled, and the tenant is Stalled. */
    statementTimeoutSeconds: seconds.optional(),
  },
  { error: "must hold lockTimeoutSeconds, statementTimeoutSeconds or both" },
)

/** In which order the tenants get new migrations. */
const Rollout = z.strictObject(
  {
    /** Who goes first: the names of tenants, or how many. 0: nobody does. */
    canary: z
      .union([count(0), z.array(z.string()).min(1)], {
        error: "must be a count, or a list of tenants' names",
      })
      .optional(),
    /** How many tenants one pass migrates. */
    waveSize: count(1).optional(),
    /** After so many tenants have failed, no other one is migrated until the files change. */
    stopAfterFailures: count(1).optional(),
  },
  { error: "must hold canary, waveSize or stopAfterFailures" },
)

export const Fleet = z.strictObject({
  /** Written into every marker and ledger entry. It must never change: what carries another id is not ours. */
  fleet: FleetId,
  /** What a removed file means: retire the tenant, or nothing at all. */
  deletion: z.enum(["retire", "forbid"], { error: 'must be "retire" or "forbid"' }),
  /** Days between a tenant's retirement and the end of its data. */
  gracePeriodDays: number("must be a number of days, from 0 to 3650", 0, 3650),
  /** Removals in one pass: at most this many, and at most this share of the fleet; the stricter holds. */
  maxRemovals: z
    .int({ error: "must be a whole number from 0" })
    .min(0, { error: "must be a whole number from 0" }),
  maxRemovalShare: number("must be a number from 0 to 1", 0, 1),
  migrations: Migrating.optional(),
  rollout: Rollout.optional(),
})
export type Fleet = z.infer<typeof Fleet>

/** What fleet.yaml says of the limits, or else the defaults; milliseconds. */
export const stepLimits = ({ migrations = {} }: Pick<Fleet, "migrations">): StepLimits => ({
  lockTimeout: milliseconds(migrations.lockTimeoutSeconds) ?? DEFAULT_LIMITS.lockTimeout,
  statementTimeout: milliseconds(migrations.statementTimeoutSeconds) ?? DEFAULT_LIMITS.statementTimeout,
})

const milliseconds = (value: number | undefined) =>
  value === undefined ? undefined : Math.round(value * 1000)

export type RolloutPolicy = {
  canary: number | readonly string[]
  waveSize: number
  stopAfterFailures: number
}

/** What fleet.yaml says of rollouts, or else: one tenant first, then 25 at a time, until 3 have failed. */
export const rolloutPolicy = ({ rollout = {} }: Pick<Fleet, "rollout">): RolloutPolicy => ({
  canary: rollout.canary ?? 1,
  waveSize: rollout.waveSize ?? 25,
  stopAfterFailures: rollout.stopAfterFailures ?? 3,
})

/** Throws TerminalError with one line per fault. */
export async function readFleet(file: string): Promise<Fleet> {
  const { value, problems } = readYamlFile(file, Fleet)
  if (value) return value
  throw new TerminalError("BadFleet", problems.map(formatProblem).join("\n"))
}
