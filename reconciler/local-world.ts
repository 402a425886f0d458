/** Lets the command line find the local world that "npm start" runs, by the file it leaves in TENANTRY_HOME. */
import { existsSync, readFileSync } from "node:fs"
import path from "node:path"
import { getCACertificates, setDefaultCACertificates } from "node:tls"
import { parseEnv } from "node:util"

/** All or nothing: where one of these is set, the environment is somebody's own, and the file is not read. */
const MARKS = ["NEON_API_URL", "NEON_API_KEY", "NEON_PROJECT_ID", "NEON_BRANCH_ID", "KEY_VAULT_URL"]

/** Messages name files as they are called here; what is not below this folder keeps its whole path. */
function asSeenFromHere(folder: string): string {
  const way = path.relative(process.cwd(), folder)
  return way === "" || way.startsWith("..") || path.isAbsolute(way) ? folder : way
}

/** Adds the variables of the running local world, and trusts its certificate. Does nothing where there is none. */
export function useLocalWorld(environment: NodeJS.ProcessEnv): void {
  const file = path.join(environment["TENANTRY_HOME"] ?? ".tenantry", "env")
  if (MARKS.some((name) => environment[name]) || !existsSync(file)) return
  const variables = parseEnv(readFileSync(file, "utf8"))
  for (const [name, value] of Object.entries(variables))
    environment[name] ??= value && name === "TENANTS_DIR" ? asSeenFromHere(value) : value
  // Node reads NODE_EXTRA_CA_CERTS when it starts, which is over.
  const ca = variables["NODE_EXTRA_CA_CERTS"]
  if (ca) setDefaultCACertificates([...getCACertificates("default"), readFileSync(ca, "utf8")])
}
