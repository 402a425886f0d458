/** The contract on the Neon that the environment names; test/live.ts made the branch, and removes it. */
import { describeDatabases } from "../contract/neon-databases.ts"
import type { NeonPlace } from "../contract/neon-place.ts"
import { describeRoles } from "../contract/neon-roles.ts"
import { neonClient } from "../local/neon-world.ts"

const variable = (name: string): string => {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is not set: run npm run test:live`)
  return value
}

/** Neon's client puts the key into its errors. */
function withPlainErrors(client: NeonPlace["client"]): NeonPlace["client"] {
  client.instance.interceptors.response.use(undefined, (error: { code?: string; message?: string }) => {
    throw new Error(`no answer of Neon's: ${error.code ?? error.message}`)
  })
  return client
}

async function open(): Promise<NeonPlace> {
  const url = variable("NEON_API_URL")
  const client = withPlainErrors(neonClient(url, variable("NEON_API_KEY")))
  const [projectId, branchId] = [variable("NEON_PROJECT_ID"), variable("NEON_BRANCH_ID")]
  const owner = variable("NEON_DATABASE_OWNER")
  const { data } = await client.listProjectBranchDatabases(projectId, branchId)
  const own = data.databases.find((database) => database.owner_name === owner)
  if (!own) throw new Error(`NEON_DATABASE_OWNER: ${owner} owns no database of the branch`)
  return {
    client,
    stranger: withPlainErrors(neonClient(url, "another-key")),
    projectId,
    branchId,
    owner,
    database: own.name,
    prefix: variable("LIVE_PREFIX"),
    pollMs: Number(process.env["NEON_POLL_INTERVAL"] ?? 1000),
  }
}

describeDatabases(open)
describeRoles(open)
