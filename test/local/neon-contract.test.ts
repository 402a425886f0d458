/** The stand-in for Neon keeps the contract that "npm run test:live" tries on Neon itself. */
import { afterAll, beforeAll } from "vitest"
import { describeDatabases } from "../contract/neon-databases.ts"
import { describeRoles } from "../contract/neon-roles.ts"
import { neonClient, startWorld, type NeonWorld } from "./neon-world.ts"

let world: NeonWorld
beforeAll(async () => {
  world = await startWorld({ operationMs: 0 })
})
afterAll(() => world.stop())

async function open() {
  const { neon, client } = world
  const { projectId, branchId, owner, url } = neon
  const stranger = neonClient(url, "another-key")
  return { client, stranger, projectId, branchId, owner, database: "neondb", prefix: "contract", pollMs: 5 }
}

describeDatabases(open)
describeRoles(open)
