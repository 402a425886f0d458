/** A simulated world behind the functions of the providers; each call takes a while that the course says. */
import { setImmediate as turn } from "node:timers/promises"
import { TransientError } from "../../reconciler/errors.ts"
import { fullName } from "../../reconciler/cells.ts"
import type { LedgerEntry } from "../../reconciler/ledger.ts"
import type { Action, Change } from "../../reconciler/action.ts"
import type { Marker, Slot, TenantId } from "../../reconciler/tenant.ts"
import type { World } from "../../reconciler/world.ts"
import type { Course } from "./passes.ts"
import { type Carried, cellOf, perform, type SimulatedWorld } from "./simulation.ts"

type Pass = { world: SimulatedWorld; course: Course; calls: number }

/** The pass that is going on; the providers that apply.ts imports know no other way to it. */
let pass: Pass | undefined

/** From now on all calls go to this world, and fail as the course says. `calls` counts them. */
export const beginPass = (world: SimulatedWorld, course: Course): Readonly<Pass> =>
  (pass = { world, course, calls: 0 })

/** One call to one system: late by some turns of the event loop, failing where the course says so. */
async function call<T>(act: (world: SimulatedWorld) => T): Promise<T> {
  const current = pass!
  const step = current.calls++
  const { turns, faults, steps } = current.course
  for (let n = 0; n < (turns[step % (turns.length || 1)] ?? 0) % 4; n++) await turn()
  const fault = faults.get(step)
  if (step >= steps || fault === "not done") throw new TransientError("Disturbed", "the course says so")
  const result = act(current.world)
  if (fault) throw new TransientError("Disturbed", "the course says so")
  return result
}

const act = (tenant: TenantId, cell: string, action: Action, carried: Carried = {}): Promise<void> =>
  call((world) => perform(world, action, { tenant, cell }, carried))

/** The host of a connection string is the cell. */
const cellIn = (uri: string) => new URL(uri).hostname
const databaseIn = (uri: string) => decodeURIComponent(new URL(uri).pathname.slice(1))

/** What stands for a session: where it leads, once its first task has asked. */
type Session = { uri: () => Promise<string> }

/** In the place of providers/postgres.ts. */
export const postgres = {
  inOneSession: async <T>(uri: () => Promise<string>, work: (session: Session) => Promise<T>) => {
    let known: Promise<string> | undefined
    return work({ uri: () => (known ??= uri()) })
  },
  readMarkers: async (uri: string) =>
    call((world) => {
      const there = [...world.databases].filter(([place]) => cellOf(place) === cellIn(uri))
      return new Map(there.map(([place, { marker }]) => [place.slice(cellIn(uri).length + 1), marker]))
    }),
  secure: async (session: Session, { tenant }: Marker) => {
    const uri = await session.uri()
    await act(tenant, cellIn(uri), { kind: "secure", database: databaseIn(uri) })
  },
  renewCredential: async (session: Session, tenant: TenantId, how: { slot: Slot; exclusive: boolean }) => {
    const carried: Carried = {}
    await act(tenant, cellIn(await session.uri()), { kind: "credential", database: "", ...how }, carried)
    return { role: carried.credential!.role, password: String(carried.credential!.password) }
  },
  closeLogin: async (uri: string, tenant: TenantId, slot: Slot) =>
    act(tenant, cellIn(uri), { kind: "close-login", database: "", slot }),
  closeDatabase: async (uri: string, tenant: TenantId, database: string) =>
    act(tenant, cellIn(uri), { kind: "close", database }),
  dropRoles: async (uri: string, tenant: TenantId) =>
    act(tenant, cellIn(uri), { kind: "drop-roles", database: databaseIn(uri) }),
}

const tenantAt = (uri: string): TenantId =>
  (pass!.world.databases.get(fullName({ cell: cellIn(uri), name: databaseIn(uri) }))?.marker?.tenant ??
    "nobody") as TenantId

/** In the place of providers/migrator.ts. */
export const migrator = {
  migrate: async (session: Session) => {
    const uri = await session.uri()
    await act(tenantAt(uri), cellIn(uri), { kind: "migrate", database: databaseIn(uri) })
  },
  seed: async (session: Session, seed: string) => {
    const uri = await session.uri()
    await act(tenantAt(uri), cellIn(uri), { kind: "seed", database: databaseIn(uri), seed })
  },
}

const sql = <T>(task: () => Promise<T>) => task()

/** The world that carries these changes out; Neon is not told for whom it acts, so it looks that up. */
export const worldFor = (changes: readonly Change[], cells: readonly string[]): World => {
  const cellOfName = (cell: string) => {
    const doing = (kind: Action["kind"], name: string) =>
      changes.find(
        (change) =>
          change.cell === cell &&
          change.actions.some(
            (action) =>
              action.kind === kind &&
              (action.kind === "rename" ? action.from : "database" in action && action.database) === name,
          ),
      )!.tenant
    return {
      name: cell,
      create: async (database: string) => act(doing("create", database), cell, { kind: "create", database }),
      rename: async (from: string, to: string) =>
        act(doing("rename", from), cell, { kind: "rename", from, to }),
      drop: async (database: string) => act(doing("drop", database), cell, { kind: "drop", database }),
      ownerUri: async (database: string) => `postgres://owner:secret@${cell}/${encodeURIComponent(database)}`,
    }
  }
  const vault = {
    reserve: async (entry: LedgerEntry) => act(entry.id, entry.cell, { kind: "reserve", entry }),
    record: async (entry: LedgerEntry) => act(entry.id, entry.cell, { kind: "record", entry }),
    annotate: async (entry: LedgerEntry) => act(entry.id, entry.cell, { kind: "annotate", entry }),
    publish: async (entry: LedgerEntry, uri: string) => {
      const { username, password } = new URL(uri)
      const credential = { role: username, password: Number(password) }
      return act(entry.id, cellIn(uri), { kind: "publish", entry, database: databaseIn(uri) }, { credential })
    },
    forget: async (id: TenantId) => act(id, "none", { kind: "forget" }),
  }
  return { cells: cells.map(cellOfName), vault, sql, drain: 0, permit: {} } as unknown as World
}
