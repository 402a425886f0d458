/** One cell: the databases of one branch of one Neon project. */
import { setTimeout as sleep } from "node:timers/promises"
import { createApiClient } from "@neondatabase/api-client"
import { z } from "zod"
import { TerminalError, TransientError } from "../errors.ts"
import { keepSecret } from "../log.ts"
import { neonError, NeonFailure, parse } from "./neon-errors.ts"
import { createSemaphore, createTokenBucket } from "./pacing.ts"

export type NeonConfig = {
  apiUrl: string
  apiKey: string
  projectId: string
  branchId: string
  /** The role that owns every tenant's database and runs the migrations. */
  owner: string
  /** Milliseconds between two looks at an operation. */
  pollInterval: number
  requestsPerSecond: number
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
const Accepted = z.union([Operations, z.literal("")])

/** The names that this cell's mutations may carry: an empty one or ".." would reach another resource's URL. */
const SAFE_NAME = /^(?:products|retired|renaming)-[\p{L}\p{N}][\p{L}\p{M}\p{N}_-]*$/u
const assertSafe = (name: string) => {
  if (!SAFE_NAME.test(name))
    throw new TerminalError("UnsafeName", `refusing to name a database ${JSON.stringify(name)}`)
}

/** Throws where it ended without its effect. `error` is no end: Neon tries again by itself. */
function hasEnded({ action, status, error }: Operation): boolean {
  if (status === "failed" || status === "cancelled") {
    throw new TransientError(
      "OperationFailed",
      `Neon's operation ${action} ${status}: ${error ?? "no reason given"}`,
    )
  }
  return status === "finished" || status === "skipped"
}

/** Longest that one mutation may take with its retries and operations; in milliseconds. */
const DEADLINE = 180_000
const REQUEST_TIMEOUT = 30_000

export type Neon = ReturnType<typeof openNeon>

/**
 * Reads and changes the databases of the configured branch. Mutations go one at a time, as Neon demands, and end
 * when Neon's operations have ended. Every function throws TransientError or TerminalError, without the key.
 */
export function openNeon(config: NeonConfig) {
  keepSecret(config.apiKey)
  const { projectId, branchId } = config
  const client = createApiClient({
    apiKey: config.apiKey,
    baseURL: config.apiUrl,
    timeout: REQUEST_TIMEOUT,
    maxRedirects: 0,
  })
  const take = createTokenBucket(config.requestsPerSecond)
  const oneAtATime = createSemaphore(1)

  const call = async <T>(schema: z.ZodType<T>, send: () => Promise<{ data: unknown }>): Promise<T> => {
    await take()
    return parse(schema, await send().catch(NeonFailure.raise))
  }

  async function names(): Promise<string[]> {
    const { databases } = await call(Databases, () => client.listProjectBranchDatabases(projectId, branchId))
    const stranger = databases.find((database) => database.branch_id !== branchId)
    if (stranger)
      throw new NeonFailure(undefined, `the list holds a database of branch ${stranger.branch_id}`)
    return databases.map((database) => database.name)
  }

  async function settled(operations: readonly Operation[], deadline: number): Promise<void> {
    for (let operation of operations) {
      while (!hasEnded(operation)) {
        const { id, action, status } = operation
        if (Date.now() > deadline) {
          throw new TransientError("OperationStuck", `Neon's operation ${action} (${id}) is still ${status}`)
        }
        await sleep(config.pollInterval)
        try {
          operation = (await call(OneOperation, () => client.getProjectOperation(projectId, id))).operation
        } catch (error) {
          // A look that failed says nothing about the operation: look again.
          if (!(error instanceof NeonFailure) || !(error.isPassing || error.isAmbiguous)) throw error
        }
      }
    }
  }

  /** After a lost response: waits until nothing runs in the project, so that a look shows what came of it. */
  async function quiet(deadline: number): Promise<void> {
    const { operations } = await call(Operations, () =>
      client.listProjectOperations({ projectId, limit: 20 }),
    )
    const running = operations.filter(({ status }) =>
      ["scheduling", "running", "error", "cancelling"].includes(status),
    )
    await settled(running, deadline).catch((error: unknown) => {
      if (!(error instanceof TransientError) || error.reason !== "OperationFailed") throw error
    })
  }

  /**
   * Sends one mutation until it has taken effect. 423, 429 and 503 were not acted on and are sent again; after any
   * other failure without a clear answer the world is looked at before anything is sent again.
   */
  async function mutate(
    what: string,
    send: () => Promise<{ data: unknown }>,
    effect: (names: readonly string[]) => boolean,
  ): Promise<void> {
    const deadline = Date.now() + DEADLINE
    let lost = false
    for (let attempt = 0; ; attempt++) {
      try {
        const accepted = await call(Accepted, send)
        if (accepted !== "") await settled(accepted.operations, deadline)
        return
      } catch (error) {
        if (!(error instanceof NeonFailure)) throw error
        if (error.isAmbiguous || error.status === 404 || error.status === 409) {
          lost ||= error.isAmbiguous
          const done = await quiet(deadline).then(async () => effect(await names()), passingLook)
          if (done && (lost || error.status === 404)) return
          if (done)
            throw new TerminalError(
              "NameTaken",
              `could not ${what}: Neon says that it is there already, and not by us`,
            )
          if (done === false && error.status === 404) throw neonError(what, error)
        } else if (!error.isPassing) throw neonError(what, error)
        if (Date.now() > deadline || attempt >= 8) throw neonError(what, error)
        await sleep(error.retryAfter ?? Math.min(250 * 2 ** attempt, 8000) * (0.75 + Math.random() / 2))
      }
    }
  }

  return {
    /** The names of all databases of the branch; complete, or it throws. One call. */
    list: () => surely(`list the databases of branch ${branchId}`, names),

    create: (name: string) =>
      oneAtATime(async () => {
        assertSafe(name)
        const database = { name, owner_name: config.owner }
        await mutate(
          `create the database ${name}`,
          () => client.createProjectBranchDatabase(projectId, branchId, { database }),
          (all) => all.includes(name),
        )
      }),

    /** No session may be connected to the database. */
    rename: (from: string, to: string) =>
      oneAtATime(async () => {
        assertSafe(from)
        assertSafe(to)
        await mutate(
          `rename the database ${from} to ${to}`,
          () => client.updateProjectBranchDatabase(projectId, branchId, from, { database: { name: to } }),
          (all) => all.includes(to) && !all.includes(from),
        )
      }),

    /** For ever: Neon has no undelete for a database. Dropping what is gone succeeds. */
    drop: (name: string) =>
      oneAtATime(async () => {
        assertSafe(name)
        await mutate(
          `drop the database ${name}`,
          () => client.deleteProjectBranchDatabase(projectId, branchId, name),
          (all) => !all.includes(name),
        )
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
        call(z.object({ uri: z.url() }), () => client.getConnectionUri(query)),
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
      await sleep(error.retryAfter ?? 250 * 2 ** attempt * (0.75 + Math.random() / 2))
    }
  }
}

const passingLook = (error: unknown): undefined => {
  if (error instanceof NeonFailure && (error.isPassing || error.isAmbiguous)) return undefined
  throw error instanceof NeonFailure ? neonError("look at what came of a change", error) : error
}
