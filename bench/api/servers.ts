/** The servers that are compared: ours as production starts it, and what else one would write. */
import { writeFile } from "node:fs/promises"
import path from "node:path"
import { HEAP } from "../../local/part.ts"
import { EVERYBODY, type BenchTenant, type Fleet } from "./fleet.ts"
import { startPgbouncer } from "./pgbouncer.ts"
import { type Program, startProgram } from "./program.ts"

const API = path.resolve(import.meta.dirname, "../../api/main.ts")
const PEERS = path.resolve(import.meta.dirname, "../peers")
const PEER_LISTENS = /^listening on (\d+)$/
/** Connections of one tenant, where nothing else is said: what ours allows by default. */
export const POOL_MAX = 4

export type StartServer = () => Promise<Program>

/** api/main.ts with all that it does by default; only the rates are too high to be met. */
export const startOurs =
  (fleet: Fleet, connections: number, environment: Record<string, string> = { AUTH: "off" }): StartServer =>
  () =>
    startProgram(
      API,
      {
        PORT: "0",
        HOST: "127.0.0.1",
        CONNECTIONS_MAX: String(connections),
        RATE_PER_TENANT: "1000000",
        RATE_PER_CALLER: "1000000",
        // As the Dockerfile has it, too.
        NODE_OPTIONS: HEAP,
        ...fleet.vault.environment("api"),
        ...environment,
      },
      /"port":(\d+),"msg":"api is listening"/,
    )

/** A peer, with the connection strings of `tenants`. */
export const startPeer =
  (
    name: "one-pool" | "map-of-pools" | "lru-of-pools",
    folder: string,
    uris: ReadonlyMap<string, string>,
    environment: Record<string, string> = {},
  ): StartServer =>
  async () => {
    const file = path.join(folder, `${name}-uris.json`)
    await writeFile(file, JSON.stringify(Object.fromEntries(uris)), { mode: 0o600 })
    return startProgram(
      path.join(PEERS, `${name}.ts`),
      { URIS_FILE: file, POOL_MAX: String(POOL_MAX), ...environment },
      PEER_LISTENS,
    )
  }

/** A map of pools whose connections lead to PgBouncer, which has the few that lead to Postgres. */
export const startBehindPgbouncer =
  (
    program: string,
    folder: string,
    fleet: Fleet,
    tenants: readonly BenchTenant[],
    connections: number,
  ): StartServer =>
  async () => {
    const { host, port } = fleet.postgres()
    const bouncer = await startPgbouncer(program, path.join(folder, "pgbouncer"), {
      host,
      port,
      ...EVERYBODY,
      connections,
    })
    const uris = tenants.map(
      ({ id, database }) =>
        [id, `postgres://${EVERYBODY.login}@127.0.0.1:${bouncer.port}/${database}`] as const,
    )
    try {
      const server = await startPeer("map-of-pools", folder, new Map(uris), { NODE_OPTIONS: HEAP })()
      return { ...server, stop: () => server.stop().finally(bouncer.stop) }
    } catch (error) {
      await bouncer.stop()
      throw error
    }
  }
