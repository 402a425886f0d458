/** A Neon branch that the contract is tried on, a stand-in's or Neon's own, and the steps that every promise takes. */
import { setTimeout as sleep } from "node:timers/promises"
import type { Operation } from "@neondatabase/api-client"
import { type NeonClient, sql } from "../local/neon-world.ts"

export type NeonPlace = {
  client: NeonClient
  /** The same without a right key. */
  stranger: NeonClient
  projectId: string
  branchId: string
  /** A role that Neon's API made; it owns `database`. */
  owner: string
  database: string
  /** Begins the names of all that is made here. */
  prefix: string
  /** Between two looks at the same thing; milliseconds. */
  pollMs: number
}

/** Far longer than anything takes at Neon; milliseconds. */
const PATIENCE = 180_000
const ENDED = new Set(["finished", "failed", "cancelled", "skipped"])
/** Neon's own work locks a project too, and it counts requests: ask again. */
const LATER = new Set([423, 429, 503])

type Answer<T> = { status: number; data: T }

export function stepsIn(place: NeonPlace) {
  const { client, projectId, branchId, owner, pollMs } = place

  async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
    const deadline = performance.now() + PATIENCE
    while (performance.now() < deadline) {
      const found = await look()
      if (found !== undefined) return found
      await sleep(pollMs)
    }
    throw new Error(`not within ${PATIENCE / 1000} s: ${what}`)
  }

  /** Asks until the answer is about what was asked. */
  const ask = <T>(call: () => Promise<Answer<T>>): Promise<Answer<T>> =>
    until("an answer that is not 423, 429 or 503", async () => {
      const answer = await call()
      return LATER.has(answer.status) ? undefined : answer
    })

  /** Waits for each operation to come as far as `isEnough`; how they stood then. */
  const follow = (operations: readonly Operation[], isEnough: (status: string) => boolean) =>
    Promise.all(
      operations.map(({ id }) =>
        until(`operation ${id} comes to an end`, async () => {
          const { operation } = (await ask(() => client.getProjectOperation(projectId, id))).data
          return isEnough(operation.status) ? operation.status : undefined
        }),
      ),
    )

  /** Waits until the operations have ended. Throws where one did not end well. */
  async function settle(operations: readonly Operation[]): Promise<void> {
    const ends: string[] = await follow(operations, (status) => ENDED.has(status))
    if (ends.some((status) => status === "failed" || status === "cancelled"))
      throw new Error(`the operations ended as ${ends.join(", ")}`)
  }

  const ownerUri = async (database: string): Promise<string> => {
    const where = { projectId, branch_id: branchId, database_name: database, role_name: owner }
    return (await ask(() => client.getConnectionUri(where))).data.uri
  }

  const createDatabase = (name: string, by = owner) =>
    ask(() => client.createProjectBranchDatabase(projectId, branchId, { database: { name, owner_name: by } }))

  return {
    ask,
    follow,
    settle,
    ownerUri,
    createDatabase,

    list: async () =>
      (await ask(() => client.listProjectBranchDatabases(projectId, branchId))).data.databases,

    /** The URI, for the owner, of a new database that takes sessions. */
    makeDatabase: async (name: string): Promise<string> => {
      const { data } = await createDatabase(name)
      await settle(data.operations)
      return ownerUri(name)
    },

    /** The password of a new role. */
    makeRole: async (name: string): Promise<string> => {
      const { data } = await ask(() =>
        client.createProjectBranchRole(projectId, branchId, { role: { name } }),
      )
      await settle(data.operations)
      return data.role.password!
    },

    /** "done", or the code with which Postgres refuses. */
    codeOf: (uri: string, text = "select 1"): Promise<string | undefined> =>
      sql(uri, text).then(
        () => "done",
        (error: { code?: string }) => error.code,
      ),
  }
}

/** The same address for somebody else. */
export function asRole(uri: string, role: string, password: string): string {
  const url = new URL(uri)
  url.username = role
  url.password = password
  return url.href
}
