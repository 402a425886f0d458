/** PgBouncer, as Debian packages it, in transaction mode before one Postgres. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { accessSync, constants } from "node:fs"
import { mkdir, writeFile } from "node:fs/promises"
import { connect } from "node:net"
import path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { freePort } from "../free-port.ts"

const PLACES = [
  "/usr/sbin/pgbouncer",
  "/usr/bin/pgbouncer",
  "/usr/local/bin/pgbouncer",
  "/opt/homebrew/bin/pgbouncer",
]

/** The program, or undefined where this machine has none. */
export const findPgbouncer = (): string | undefined =>
  PLACES.find((file) => {
    try {
      accessSync(file, constants.X_OK)
      return true
    } catch {
      return false
    }
  })

/**
 * PgBouncer opens the next session while Postgres still ends the one before, so it needs places to spare; a login that
 * is refused stops a pool for server_login_retry.
 */
const SPARE = 1 / 3

export type Pgbouncer = { port: number; stop: () => Promise<void> }

/**
 * Starts it before the server at `host:port`. Only connections of one and the same login make room for each other across
 * databases, so it has one login for all of them, and at most `connections` in all.
 */
export async function startPgbouncer(
  program: string,
  folder: string,
  server: { host: string; port: number; login: string; password: string; connections: number },
): Promise<Pgbouncer> {
  const port = await freePort()
  await mkdir(folder, { recursive: true })
  const file = path.join(folder, "pgbouncer.ini")
  await writeFile(
    file,
    `[databases]
* = host=${server.host} port=${server.port} user=${server.login} password=${server.password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 4
max_user_connections = ${Math.floor(server.connections * (1 - SPARE))}
server_login_retry = 1
max_client_conn = 10000
log_connections = 0
log_disconnections = 0
log_stats = 0
`,
    { mode: 0o600 },
  )
  const asNobody = process.getuid?.() === 0 ? ["-u", "nobody"] : []
  const child = spawn(program, ["-q", ...asNobody, file], { stdio: ["ignore", "ignore", "pipe"] })
  let printed = ""
  child.stderr.on("data", (chunk: Buffer) => (printed = (printed + chunk.toString()).slice(-4000)))
  while (!(await listens(port))) {
    if (child.exitCode !== null) throw new Error(`pgbouncer has ended: ${printed}`)
    await sleep(20)
  }
  return {
    port,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, "exit")
      child.kill("SIGTERM")
      await ended
    },
  }
}

const listens = (port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" })
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false))
    socket.once("connect", () => socket.destroy())
  })
