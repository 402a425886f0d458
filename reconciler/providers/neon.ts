/** The cells: each is the databases of one branch of one Neon project. */
import { setTimeout as sleep } from "node:timers/promises"
import { createApiClient } from "@neondatabase/api-client"
import { z } from "zod"
import { TerminalError } from "../errors.ts"
import { countRetry, observeCall } from "../calls.ts"
import { keepSecret } from "../log.ts"
import { passOnTrace } from "../spans.ts"
import { neonError, NeonFailure, parse } from "./neon-errors.ts"
import { createMutations } from "./neon-mutations.ts"
import { createSemaphore, createTokenBucket, type Permit } from "./pacing.ts"
import { sameList } from "../same.ts"
import { isOurName } from "../tenant.ts"

export type CellConfig = { projectId: string; branchId: string }

export type NeonConfig = {
  apiUrl: string
  apiKey: string
  /** Each of a project of its own; the lease is in the first. */
  cells: readonly CellConfig[]
  /** The role that owns every tenant's database and runs the migrations. */
  owner: string
  /** Milliseconds between two looks at an operation. */
  pollInterval: number
  requestsPerSecond: number
  /** Milliseconds: the longest that one request may take, and one mutation with its retries and operations. */
  timeouts?: { request: number; mutation: number }
}

const Databases = z.object({
  databases: z.array(z.object({ name: z.string(), branch_id: z.string(), owner_name: z.string() })),
})
const Operation = z.object({
  id: z.guid(),
  status: z.string(),
  action: z.string(),
  error: z.string().optional(),
})
type Operation = z.infer<typeof Operation>
const OneOperation = z.object({ operation: Operation })
const Operations = z.object({ operations: z.array(Operation) })
/** Deleting answers 200 with operations, or 204 with nothing. */
const Accepted = z.union([Operations, z.literal("").transform(() => ({ operations: [] }))])

/** A name that is one segment of a URL, and not ".." or empty: those would reach another resource. */
const SAFE_NAME = /^[\p{L}\p{N}_](?:[\p{L}\p{M}\p{N}_ .-]*[\p{L}\p{M}\p{N}_-])?$/u
export const isSafeName = (name: string) => SAFE_NAME.test(name)
const assertName = (name: string, ...rules: ((name: string) => boolean)[]) => {
  if (rules.every((rule) => rule(name))) return
  throw new TerminalError("UnsafeName", `refusing to touch a database named ${JSON.stringify(name)}`)
}

type Answer = { status: number; data: unknown }
/** For the metrics. */
const READING = {
  done: ({ status }: Answer) => status,
  failed: (error: unknown) => (error instanceof NeonFailure ? error.status : undefined),
}

const TIMEOUTS = { request: 30_000, mutation: 180_000 }

/** The configured cells, in their order. Neon limits what an account asks, so their requests share one rate. */
export function openCells(config: NeonConfig, permit: Permit): Cell[] {
  keepSecret(config.apiKey)
  const { timeouts = TIMEOUTS } = config
  const client = createApiClient({
    apiKey: config.apiKey,
    baseURL: config.apiUrl,
    timeout: timeouts.request,
    maxRedirects: 0,
  })
  client.instance.interceptors.request.use((request) => {
    passOnTrace((name, value) => request.headers.set(name, value))
    return request
  })
  const take = createTokenBucket(config.requestsPerSecond, "neon requests")
  return config.cells.map((cell) => openCell(cell, { ...config, timeouts, client, take, permit }))
}

type Shared = Omit<Required<NeonConfig>, "cells"> & {
  client: ReturnType<typeof createApiClient>
  take: () => Promise<void>
  permit: Permit
}

export type Cell = ReturnType<typeof openCell>

/**
 * Reads and changes the databases of one branch. Mutations go one at a time, as Neon demands of a project, and end
 * when Neon's operations have ended. Every function throws TransientError or TerminalError, without the key.
 */
function openCell({ projectId, branchId }: CellConfig, { client, take, permit, ...config }: Shared) {
  const oneAtATime = createSemaphore(1, "neon changes")
  let last: readonly string[] = []

  /** One request; `operation` is the name of the client's method. */
  const call = async <T>(
    operation: string,
    schema: z.ZodType<T>,
    send: () => Promise<Answer>,
  ): Promise<T> => {
    await take()
    return parse(schema, await observeCall("neon", operation, READING, () => send().catch(NeonFailure.raise)))
  }

  async function names(): Promise<string[]> {
    const { databases } = await call("listDatabases", Databases, () =>
      client.listProjectBranchDatabases(projectId, branchId),
    )
    const stranger = databases.find((database) => database.branch_id !== branchId)
    if (stranger)
      throw new NeonFailure(undefined, `the list holds a database of branch ${stranger.branch_id}`)
    return databases.map((database) => database.name)
  }

  const { mutate } = createMutations({
    operation: (id) => call("getOperation", OneOperation, () => client.getProjectOperation(projectId, id)),
    recent: () =>
      call("listOperations", Operations, () => client.listProjectOperations({ projectId, limit: 20 })),
    names,
    pollInterval: config.pollInterval,
    timeout: config.timeouts.mutation,
    permit,
  })
  const send = (operation: string, request: () => Promise<Answer>) => () =>
    call(operation, Accepted, () => {
      permit.signal?.throwIfAborted()
      return request()
    })

  return {
    /** How the ledger and the files call it. */
    name: projectId,

    /** The names of all databases of the branch; complete, or it throws. One call. The last value where they are the same. */
    list: async (): Promise<readonly string[]> =>
      (last = sameList(last, await surely(`list the databases of branch ${branchId}`, names))),

    create: (name: string) =>
      oneAtATime(async () => {
        assertName(name, isSafeName, isOurName)
        const database = { name, owner_name: config.owner }
        await mutate({
          what: `create the database ${name}`,
          send: send("createDatabase", () =>
            client.createProjectBranchDatabase(projectId, branchId, { database }),
          ),
          isDone: (all) => all.includes(name),
          subject: undefined,
        })
      }),

    /** No session may be connected to the database. */
    rename: (from: string, to: string) =>
      oneAtATime(async () => {
        assertName(from, isSafeName)
        assertName(to, isSafeName, isOurName)
        const database = { name: to }
        await mutate({
          what: `rename the database ${from} to ${to}`,
          send: send("renameDatabase", () =>
            client.updateProjectBranchDatabase(projectId, branchId, from, { database }),
          ),
          isDone: (all) => all.includes(to) && !all.includes(from),
          subject: from,
        })
      }),

    /** For ever: Neon has no undelete for a database. Dropping what is gone succeeds. */
    drop: (name: string) =>
      oneAtATime(async () => {
        assertName(name, isSafeName, isOurName)
        await mutate({
          what: `drop the database ${name}`,
          send: send("dropDatabase", () => client.deleteProjectBranchDatabase(projectId, branchId, name)),
          isDone: (all) => !all.includes(name),
          subject: name,
        })
      }),

    /** The owner's connection string for a database that exists; kept in memory only. */
    ownerUri: async (database: string, pooled: boolean): Promise<string> => {
      const query = {
        projectId,
        branch_id: branchId,
        database_name: database,
        role_name: config.owner,
        pooled,
      }
      const { uri } = await surely("get the owner's connection string", () =>
        call("getConnectionUri", z.object({ uri: z.url() }), () => client.getConnectionUri(query)),
      )
      keepSecret(new URL(uri).password)
      return uri
    },
  }
}

/** A read: sent again while nothing but the moment is against it. */
async function surely<T>(what: string, run: () => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await run()
    } catch (error) {
      if (!(error instanceof NeonFailure)) throw error
      if (attempt >= 4 || !(error.isPassing || error.isAmbiguous)) throw neonError(what, error)
      countRetry("neon", error.status)
      await sleep(error.retryAfter ?? 250 * 2 ** attempt * (0.75 + Math.random() / 2))
    }
  }
}
