/** A branch of Neon's that is there for one run. */
import { setTimeout as sleep } from "node:timers/promises"
import { z } from "zod"

const Operations = z.array(z.object({ id: z.string(), status: z.string() }))
const Created = z.object({ branch: z.object({ id: z.string() }), operations: Operations })
const Branches = z.object({ branches: z.array(z.object({ id: z.string(), name: z.string() })) })

/** Seconds; Neon takes a few. */
const PATIENCE = 600
/** The project is at work, or we asked too often. */
const LATER = new Set([423, 429, 503])

type Project = { url: string; key: string }

/** Calls in a row that may get no answer at all. */
const SILENCES = 5

/**
 * Asks until Neon takes the call; one that may be made twice also where no answer comes. Throws on any other answer than
 * a good one, and without the key in the error.
 */
async function ask({ url, key }: Project, method: string, target: string, body?: unknown): Promise<unknown> {
  let silences = 0
  for (let second = 0; ; second++) {
    const call = {
      method,
      headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(30_000),
    }
    const response = await fetch(url + target, call).catch((error: Error) => {
      silences += 1
      if (method === "POST" || silences >= SILENCES)
        throw new Error(`Neon does not answer ${method} ${target}: ${error.message}`, { cause: error })
    })
    if (response?.ok) return response.status === 204 ? undefined : response.json()
    if (response?.status === 404 && method === "DELETE") return undefined
    if (response && (!LATER.has(response.status) || second >= PATIENCE))
      throw new Error(`Neon answers ${response.status} to ${method} ${target}`)
    await sleep(1000)
  }
}

async function finish(project: Project, operations: z.output<typeof Operations>): Promise<void> {
  const Answer = z.object({ operation: z.object({ status: z.string() }) })
  for (const { id } of operations) {
    for (let second = 0; ; second++) {
      const { operation } = Answer.parse(await ask(project, "GET", `/operations/${id}`))
      if (operation.status === "finished" || operation.status === "skipped") break
      if (second >= PATIENCE || ["failed", "cancelled"].includes(operation.status))
        throw new Error(`operation ${id} is ${operation.status}`)
      await sleep(1000)
    }
  }
}

/**
 * A branch that `create` makes, with a compute of its own, and that Neon itself deletes within a day where nobody else does.
 * `remove` goes by the name, so it finds a branch whose making was never answered too; it throws while Neon lists it.
 */
export function planBranch(environment: NodeJS.ProcessEnv, name: string, say: (text: string) => void) {
  const project = {
    url: `${environment["NEON_API_URL"]}/projects/${environment["NEON_PROJECT_ID"]}`,
    key: environment["NEON_API_KEY"]!,
  }
  const find = async () => {
    const { branches } = Branches.parse(await ask(project, "GET", `/branches?search=${name}`))
    return branches.filter((branch) => branch.name === name)
  }
  return {
    /** The branch's id, when it takes sessions. */
    create: async (): Promise<string> => {
      const expires = new Date(Date.now() + 24 * 3_600_000).toISOString()
      const wanted = { branch: { name, expires_at: expires }, endpoints: [{ type: "read_write" }] }
      const { branch, operations } = Created.parse(await ask(project, "POST", "/branches", wanted))
      say(`      branch ${name} (${branch.id}), which Neon deletes by itself at ${expires}`)
      await finish(project, operations)
      return branch.id
    },
    remove: async (): Promise<void> => {
      for (let second = 0; ; second++) {
        const left = await find()
        if (left.length === 0) return
        if (second >= PATIENCE) throw new Error(`Neon still lists ${name}`)
        if (second === 0) for (const { id } of left) await ask(project, "DELETE", `/branches/${id}`)
        else await sleep(1000)
      }
    },
  }
}
