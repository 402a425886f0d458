/** One action: one write to one system. */
import type { Action } from "./action.ts"
import { TerminalError } from "./errors.ts"
import type { Migrations, StepLimits } from "./migrations.ts"
import { migrate, seed } from "./providers/migrator.ts"
import type { Cell } from "./providers/neon.ts"
import {
  closeDatabase,
  closeLogin,
  dropRoles,
  inOneSession,
  readMarkers,
  renewCredential,
  secure,
  type Session,
  withLogin,
} from "./providers/postgres.ts"
import { type Marker, retiredDatabaseName, secretName, type TenantId } from "./tenant.ts"
import { MAINTENANCE_DATABASE, type OwnerUris, type World } from "./world.ts"

/** What the actions of one change share. */
export type Context = {
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
  /** In a tenant's database, for the actions that take place there. */
  session?: Session
}

/** The database in which the action takes place; undefined for one that needs no session there. */
export const databaseInside = (action: Action): string | undefined => {
  const { kind } = action
  const isInside = kind === "secure" || kind === "migrate" || kind === "seed" || kind === "credential"
  return isInside ? action.database : undefined
}

/**
 * Performs actions that take place in one database, in one session: to open one costs more than what most of them do. The
 * work takes one turn of those that the world gives.
 */
export async function inSession(context: Context, work: () => Promise<void>): Promise<void> {
  await context.world.sql(async () =>
    inOneSession(
      async () => context.uris.direct(context.existing),
      async (session) => {
        context.session = session
        await work()
      },
    ),
  )
}

/** Each action may be done again: a pass that was cut short before its success was seen does so. */
export async function perform(action: Action, context: Context): Promise<void> {
  const { world, cell, marker } = context
  const { vault } = world
  const permitted = () => world.permit.signal?.throwIfAborted()
  const sql: World["sql"] = (task) =>
    world.sql(() => {
      permitted()
      return task()
    })
  const inside = (): Session => {
    permitted()
    return context.session!
  }
  const id = marker.tenant
  // The actions on roles belong to no database; those on a database know it exists.
  if ("database" in action && action.database && action.kind !== "create") context.existing = action.database
  const server = () => context.uris.direct(context.existing, MAINTENANCE_DATABASE)

  switch (action.kind) {
    case "reserve":
      return vault.reserve(action.entry)
    case "create":
      return cell.create(action.database)
    case "secure":
      return secure(inside(), marker)
    case "migrate": {
      const { migrations, limits } = context
      return migrate(inside(), migrations, limits ? { limits } : {})
    }
    case "seed":
      return runSeed(inside(), action.seed, context.migrations)
    case "credential":
      context.credential = await renewCredential(inside(), id, action)
      return
    case "publish": {
      const { role, password } = context.credential!
      return vault.publish(
        action.entry,
        withLogin(await context.uris.pooled(action.database), role, password),
      )
    }
    case "record":
      return vault.record(action.entry)
    case "annotate":
      return vault.annotate(action.entry)
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
      return sql(async () =>
        dropRoles(await (action.database ? context.uris.direct(action.database) : server()), id),
      )
    case "forget":
      return vault.forget(id)
  }
}

async function runSeed(session: Session, name: string, { seeds }: Migrations): Promise<void> {
  const text = seeds.get(name)
  if (text === undefined) {
    const known = [...seeds.keys()].join(", ") || "none"
    throw new TerminalError(
      "SeedUnknown",
      `there is no migrations/seeds/${name}.sql (there are: ${known}): change "seed:" in the tenant's file`,
    )
  }
  await seed(session, name, text)
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
