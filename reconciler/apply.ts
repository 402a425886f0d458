/** Carries a plan out: tenants side by side, each tenant's actions in order, one failure stops that tenant only. */
import { performance } from "node:perf_hooks"
import { observeAction } from "./action-metrics.ts"
import { TerminalError, TransientError } from "./errors.ts"
import type { Migrations, StepLimits } from "./migrations.ts"
import type { Action, Change } from "./action.ts"
import type { Observed } from "./plan.ts"
import type { Plan } from "./policy.ts"
import type { Cell } from "./providers/neon.ts"
import { migrate, seed } from "./providers/migrator.ts"
import {
  closeDatabase,
  closeLogin,
  dropRoles,
  readMarkers,
  renewCredential,
  secure,
  withLogin,
} from "./providers/postgres.ts"
import { type FleetId, type Marker, retiredDatabaseName, secretName, type TenantId } from "./tenant.ts"
import { expectVacancies } from "./vacancies.ts"
import {
  cellNamed,
  existingIn,
  MAINTENANCE_DATABASE,
  type OwnerUris,
  ownerUris,
  type World,
} from "./world.ts"

/** What became of one change. Times are in milliseconds. */
export type Outcome = { change: Change; ms: number; error?: TerminalError | TransientError }

export type Progress = (
  event:
    | { kind: "action"; change: Change; action: Action["kind"]; ms: number }
    | { kind: "change"; outcome: Outcome },
) => void

type Context = {
  world: World
  /** The tenant's, and the only one that is touched. */
  cell: Cell
  migrations: Migrations
  limits: StepLimits | undefined
  marker: Marker
  uris: OwnerUris
  /** A database that surely is in the cell, through which Neon tells the owner's connection string. */
  existing: string
  credential?: { role: string; password: string }
}

/** Never throws for what happens to a tenant: that is in its outcome. */
export async function apply(
  { changes }: Pick<Plan, "changes">,
  options: {
    world: World
    fleet: FleetId
    migrations: Migrations
    /** For each statement of a migration. */
    limits?: StepLimits
    observed: Observed
    signal: AbortSignal
    progress: Progress
  },
): Promise<Outcome[]> {
  const { world, fleet, migrations, limits, observed, signal, progress } = options
  const urisOf = ownerUris(world)
  const databases = new Map(world.cells.map(({ name }) => [name, existingIn(observed, name) ?? ""]))

  const vacancies = expectVacancies(changes)
  const applyChange = async (change: Change): Promise<Outcome> => {
    const started = performance.now()
    const elapsed = () => Math.round(performance.now() - started)
    const marker: Marker = { fleet, tenant: change.tenant }
    let outcome: Outcome
    try {
      const cell = cellNamed(world, change.cell)
      const [uris, existing] = [urisOf(cell.name), databases.get(cell.name)!]
      const context: Context = { world, cell, migrations, limits, marker, uris, existing }
      for (const action of change.actions) {
        const begun = performance.now()
        await vacancies.wait(change, action)
        signal.throwIfAborted()
        await observeAction(change, action, () => perform(action, context))
        vacancies.vacate(action)
        progress({ kind: "action", change, action: action.kind, ms: Math.round(performance.now() - begun) })
      }
      outcome = { change, ms: elapsed() }
    } catch (error) {
      outcome = { change, ms: elapsed(), error: asOurs(error, signal) }
    }
    vacancies.finish(change)
    progress({ kind: "change", outcome })
    return outcome
  }
  return Promise.all(changes.map(applyChange))
}

/** One write to one system. Each may be done again: a pass that was cut short before its success was seen does so. */
async function perform(action: Action, context: Context): Promise<void> {
  const { world, cell, marker } = context
  const { vault } = world
  const sql: World["sql"] = (task) =>
    world.sql(() => {
      world.permit.signal?.throwIfAborted()
      return task()
    })
  const id = marker.tenant
  // The actions on roles belong to no database; those on a database know it exists.
  if ("database" in action && action.database && action.kind !== "create") context.existing = action.database
  const server = () => context.uris.direct(context.existing, MAINTENANCE_DATABASE)
  const direct = (database: string) => context.uris.direct(database)

  switch (action.kind) {
    case "reserve":
      return vault.reserve(action.entry)
    case "create":
      return cell.create(action.database)
    case "secure":
      return sql(async () => secure(await direct(action.database), marker))
    case "migrate":
      return sql(async () => {
        const { migrations, limits } = context
        await migrate(await direct(action.database), migrations, limits ? { limits } : {})
      })
    case "seed":
      return sql(async () => runSeed(await direct(action.database), action.seed, context.migrations))
    case "credential":
      return sql(async () => {
        context.credential = await renewCredential(await server(), id, action)
      })
    case "publish": {
      const { role, password } = context.credential!
      return vault.publish(
        action.entry,
        withLogin(await context.uris.pooled(action.database), role, password),
      )
    }
    case "record":
      return vault.record(action.entry)
    case "close":
      return sql(async () => closeDatabase(await server(), id, action.database, world.drain))
    case "close-login":
      return sql(async () => closeLogin(await server(), id, action.slot, world.drain))
    case "rename":
      await cell.rename(action.from, action.to)
      context.existing = action.to
      return
    case "drop":
      assertShelved(action.database, id)
      await sql(async () => assertMarked(await server(), action.database, marker))
      return cell.drop(action.database)
    case "drop-roles":
      return sql(async () => dropRoles(await (action.database ? direct(action.database) : server()), id))
    case "forget":
      return vault.forget(id)
  }
}

async function runSeed(uri: string, name: string, { seeds }: Migrations): Promise<void> {
  const text = seeds.get(name)
  if (text === undefined) {
    const known = [...seeds.keys()].join(", ") || "none"
    throw new TerminalError(
      "SeedUnknown",
      `there is no migrations/seeds/${name}.sql (there are: ${known}): change "seed:" in the tenant's file`,
    )
  }
  await seed(uri, name, text)
}

/** Only what was retired is ever dropped, whatever a plan says. */
function assertShelved(database: string, tenant: TenantId): void {
  if (database === retiredDatabaseName(tenant)) return
  throw new TerminalError(
    "NotRetired",
    `refusing to drop ${database}: it is not where retired tenants are kept`,
  )
}

/** The last look before data is gone for ever. */
async function assertMarked(uri: string, database: string, marker: Marker): Promise<void> {
  const found = (await readMarkers(uri)).get(database)
  if (found?.fleet === marker.fleet && found.tenant === marker.tenant) return
  throw new TerminalError(
    "MarkerMissing",
    `refusing to drop ${database}: it does not carry the marker of ${secretName(marker.tenant)}`,
  )
}

function asOurs(error: unknown, signal: AbortSignal): TerminalError | TransientError {
  if (error instanceof TerminalError || error instanceof TransientError) return error
  if (signal.aborted) {
    const isLate = signal.reason instanceof Error && signal.reason.name === "TimeoutError"
    const why = isLate ? "this pass has used its time" : "the reconciler was asked to stop, or lost its lease"
    return new TransientError("Interrupted", `${why}; the next pass goes on from here`)
  }
  return new TransientError("Unexpected", error instanceof Error ? error.message : String(error))
}
