import { randomBytes } from "node:crypto"
import { setTimeout as sleep } from "node:timers/promises"
import { z } from "zod"

const Operations = z.array(z.object({ id: z.string(), status: z.string() }))
const Created = z.object({ branch: z.object({ id: z.string() }), operations: Operations })

/** Ten minutes; Neon takes seconds. */
const PATIENCE = 600

/** Makes a branch with a compute of its own, which Neon itself deletes within a day where nobody else does. */
export async function createBranch(environment: NodeJS.ProcessEnv, say: (text: string) => void) {
  const project = `${environment["NEON_API_URL"]}/projects/${environment["NEON_PROJECT_ID"]}`
  const ask = async (method: string, target: string, body?: unknown): Promise<unknown> => {
    const response = await fetch(project + target, {
      method,
      headers: { Authorization: `Bearer ${environment["NEON_API_KEY"]}`, "Content-Type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(30_000),
    })
    if (!response.ok) throw new Error(`Neon answers ${response.status} to ${method} ${target}`)
    return response.status === 204 ? undefined : response.json()
  }
  const name = `tenantry-live-${randomBytes(4).toString("hex")}`
  const expires = new Date(Date.now() + 24 * 3_600_000).toISOString()
  const wanted = { branch: { name, expires_at: expires }, endpoints: [{ type: "read_write" }] }
  const { branch, operations } = Created.parse(await ask("POST", "/branches", wanted))
  for (const { id } of operations) {
    for (let second = 0; ; second++) {
      const { operation } = z
        .object({ operation: z.object({ status: z.string() }) })
        .parse(await ask("GET", `/operations/${id}`))
      if (operation.status === "finished" || operation.status === "skipped") break
      if (second >= PATIENCE || ["failed", "cancelled"].includes(operation.status))
        throw new Error(`the branch ${name} was not made: operation ${id} is ${operation.status}`)
      await sleep(1000)
    }
  }
  say(`      branch ${name} (${branch.id}) until ${expires} at the latest`)
  return { id: branch.id, remove: async () => void (await ask("DELETE", `/branches/${branch.id}`)) }
}
