/**
 * A stand-in for the Neon API (v2) on 127.0.0.1: projects with one branch each, whose databases and roles are real ones
 * on a real Postgres of its own, with Neon's privileges and Neon's asynchronous operations. What it remembers of a
 * project lives in a control database on the same Postgres, so a start after any end, kill -9 included, carries on where
 * the last one stopped.
 */
import { type CellOptions, prepareCell } from "./neon/cell.ts"
import { openControl } from "./neon/control.ts"
import type { Faults } from "./neon/faults.ts"
import { startOperations } from "./neon/operations.ts"
import { listen, type LoggedCall } from "./neon/server.ts"
import type { World } from "./neon/answer.ts"

/**
 * One project. The project's id is "tenantry-local" where none is given, the first branch's "br-tenantry-local", and the
 * role that owns the first database "tenantry_owner"; project and owner are fixed at the first start, and the branch may
 * be replaced later. The owner's password is set at every start if given; otherwise made at the first start and kept.
 */
type NeonProject = CellOptions & { postgres: { superuserUri: string } }

export type NeonOptions = NeonProject & {
  /** Further projects beside the first; their ids must be given. */
  others?: readonly NeonProject[] | undefined
  /** Default 0: a free one. */
  port?: number | undefined
  apiKey: string
  /** How long one operation takes, in milliseconds, default 150; 0 is as fast as its effect. */
  operationMs?: number | undefined
  /** How long it waits for another stand-in on this Postgres to end, in milliseconds, default 5000. */
  lockWaitMs?: number | undefined
}

/** What clients have to know of a project. */
type Served = {
  projectId: string
  /** The present one: a fault can replace the branch. */
  readonly branchId: string
  owner: string
  ownerPassword: string
}

export type NeonServer = Served & {
  /** The base URL for a client, `/api/v2` included. */
  url: string
  port: number
  /** All projects, the first too. */
  projects: readonly Served[]
  faults: Faults
  /** The calls answered since the start or the last reset, oldest first; only the newest are kept. */
  calls: () => readonly LoggedCall[]
  resetCalls: () => void
  close: () => Promise<void>
}

/** Starts the stand-in. Throws when another one serves the same Postgres, or when its data are of another project. */
export async function startNeon(options: NeonOptions): Promise<NeonServer> {
  const { operationMs = 150, lockWaitMs = 5000 } = options
  const opened: Opened[] = []
  const closeAll = async () => {
    for (const { close } of opened) await close()
  }
  try {
    for (const project of [options, ...(options.others ?? [])])
      opened.push(await openProject(project, { operationMs, lockWaitMs }))
    const projects = opened.map(({ world }) => world.cell)
    const [first, ...others] = opened.map(({ world }): World => ({ ...world, projects }))
    const http = await listen({
      worlds: [first!, ...others],
      apiKey: options.apiKey,
      port: options.port ?? 0,
    })
    const served = await Promise.all(opened.map(({ world }) => present(world)))
    return {
      url: `http://127.0.0.1:${http.port}/api/v2`,
      port: http.port,
      projectId: served[0]!.projectId,
      get branchId() {
        return served[0]!.branchId
      },
      owner: served[0]!.owner,
      ownerPassword: served[0]!.ownerPassword,
      projects: served,
      faults: http.faults,
      calls: http.calls,
      resetCalls: http.resetCalls,
      close: async () => {
        await http.close()
        await closeAll()
      },
    }
  } catch (error) {
    await closeAll()
    throw error
  }
}

type Opened = { world: Omit<World, "projects">; close: () => Promise<void> }

async function openProject(
  options: NeonProject,
  { operationMs, lockWaitMs }: { operationMs: number; lockWaitMs: number },
): Promise<Opened> {
  const { superuserUri } = options.postgres
  const control = await openControl(superuserUri, lockWaitMs)
  try {
    const cell = await prepareCell(control, options)
    const operations = await startOperations({ control, superuserUri, operationMs })
    return {
      world: { cell, control, operations, memory: { databasesBefore: undefined } },
      close: async () => {
        await operations.close()
        await control.close()
      },
    }
  } catch (error) {
    await control.close()
    throw error
  }
}

async function present({ cell, control }: Pick<World, "cell" | "control">): Promise<Served> {
  const { rows } = await control.pool.query<{ password: string }>(
    "select password from roles where name = $1",
    [cell.owner],
  )
  return {
    projectId: cell.projectId,
    get branchId() {
      return cell.branchId
    },
    owner: cell.owner,
    ownerPassword: rows[0]!.password,
  }
}
