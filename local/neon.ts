/**
 * A stand-in for the Neon API (v2) on 127.0.0.1: one project with one branch, whose databases and roles are real ones
 * on a real Postgres, with Neon's privileges and Neon's asynchronous operations. What it remembers lives in a control
 * database on the same Postgres, so a start after any end, kill -9 included, carries on where the last one stopped.
 */
import { prepareCell } from "./neon/cell.ts"
import { openControl } from "./neon/control.ts"
import type { Faults } from "./neon/faults.ts"
import { startOperations } from "./neon/operations.ts"
import { listen, type LoggedCall } from "./neon/server.ts"
import type { World } from "./neon/answer.ts"

export type NeonOptions = {
  postgres: { host: string; port: number; superuserUri: string }
  /** Default 0: a free one. */
  port?: number | undefined
  apiKey: string
  /** Default "tenantry-local". Fixed at the first start, as is the owner. */
  projectId?: string | undefined
  /** Of the first start, default "br-tenantry-local"; the branch may be replaced later. */
  branchId?: string | undefined
  /** The role that owns the first database, default "tenantry_owner". */
  owner?: string | undefined
  /** Set at every start if given; otherwise made at the first start and kept. */
  ownerPassword?: string | undefined
  /** How long one operation takes, in milliseconds, default 150; 0 is as fast as its effect. */
  operationMs?: number | undefined
  /** How long it waits for another stand-in on this Postgres to end, in milliseconds, default 5000. */
  lockWaitMs?: number | undefined
}

export type NeonServer = {
  /** The base URL for a client, `/api/v2` included. */
  url: string
  port: number
  projectId: string
  /** The present one: a fault can replace the branch. */
  readonly branchId: string
  owner: string
  ownerPassword: string
  faults: Faults
  /** The calls answered since the start or the last reset, oldest first; only the newest are kept. */
  calls: () => readonly LoggedCall[]
  resetCalls: () => void
  close: () => Promise<void>
}

/** Starts the stand-in. Throws when another one serves the same Postgres, or when its data are of another project. */
export async function startNeon(options: NeonOptions): Promise<NeonServer> {
  const { superuserUri, host, port } = options.postgres
  const control = await openControl(superuserUri, options.lockWaitMs ?? 5000)
  try {
    const cell = await prepareCell(control, { ...options, postgres: { host, port } })
    const operations = await startOperations({
      control,
      superuserUri,
      operationMs: options.operationMs ?? 150,
    })
    const world: World = { cell, control, operations, memory: { databasesBefore: undefined } }
    const http = await listen({ world, apiKey: options.apiKey, port: options.port ?? 0 })
    const { rows } = await control.pool.query<{ password: string }>(
      "select password from roles where name = $1",
      [cell.owner],
    )
    return {
      url: `http://127.0.0.1:${http.port}/api/v2`,
      port: http.port,
      projectId: cell.projectId,
      get branchId() {
        return cell.branchId
      },
      owner: cell.owner,
      ownerPassword: rows[0]!.password,
      faults: http.faults,
      calls: http.calls,
      resetCalls: http.resetCalls,
      close: async () => {
        await http.close()
        await operations.close()
        await control.close()
      },
    }
  } catch (error) {
    await control.close()
    throw error
  }
}
