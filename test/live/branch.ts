/** A branch of Neon's that is there for one run. */
import { setTimeout as sleep } from "node:timers/promises"
import { z } from "zod"

const Operations = z.array(z.object({ id: z.string(), status: z.string() }))
const Created = z.object({ branch: z.object({ id: z.string() }), operations: Operations })
const Branches = z.object({ branches: z.array(z.object({ id: z.string() })) })

/** Seconds; Neon takes a few. */
const PATIENCE = 600
/** The project is at work, or we asked too often. */
const LATER = new Set([423, 429, 503])

type Project = { url: string; key: string }

/** Asks until Neon takes the call. Throws on any other answer than a good one, and without the key in the error. */
async function ask({ url, key }: Project, method: string, target: string, body?: unknown): Promise<unknown> {
  for (let second = 0; ; second++) {
    const response = await fetch(url + target, {
      method,
      headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(30_000),
    })
    if (response.ok) return response.status === 204 ? undefined : response.json()
    if (response.status === 404 && method === "DELETE") return undefined
    if (!LATER.has(response.status) || second >= PATIENCE)
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
 * Makes a branch with a compute of its own, which Neon itself deletes within a day where nobody else does. `remove` may
 * be called whatever became of it, and throws while Neon still lists it.
 */
export async function createBranch(
  environment: NodeJS.ProcessEnv,
  name: string,
  say: (text: string) => void,
) {
  const project = {
    url: `${environment["NEON_API_URL"]}/projects/${environment["NEON_PROJECT_ID"]}`,
    key: environment["NEON_API_KEY"]!,
  }
  const expires = new Date(Date.now() + 24 * 3_600_000).toISOString()
  const wanted = { branch: { name, expires_at: expires }, endpoints: [{ type: "read_write" }] }
  const { branch, operations } = Created.parse(await ask(project, "POST", "/branches", wanted))
  say(`      branch ${name} (${branch.id}), which Neon deletes by itself at ${expires}`)
  const remove = async () => {
    await ask(project, "DELETE", `/branches/${branch.id}`)
    for (let second = 0; ; second++) {
      const { branches } = Branches.parse(await ask(project, "GET", `/branches?search=${branch.id}`))
      if (branches.every(({ id }) => id !== branch.id)) return
      if (second >= PATIENCE) throw new Error(`Neon still lists ${branch.id}`)
      await sleep(1000)
    }
  }
  return { id: branch.id, ready: () => finish(project, operations), remove }
}
