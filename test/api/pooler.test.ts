/** What a pooler in transaction mode between the API and Postgres changes, as PgBouncer before Neon is one. */
import { spawn } from "node:child_process"
import { accessSync, constants } from "node:fs"
import { once } from "node:events"
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises"
import { type AddressInfo, createServer } from "node:net"
import { tmpdir } from "node:os"
import path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import type { Client } from "pg"
import { expect, test } from "vitest"
import { cancelQuery } from "../../api/cancel.ts"
import { loginRole } from "../../reconciler/tenant.ts"
import { freePort } from "../free-port.ts"
import { FLEET, startWorld, type TestTenant } from "./world.ts"

test("who asks for a cancellation stays until it is done: a pooler forgets whoever hangs up", async () => {
  let hungUp = false
  const pooler = createServer({ allowHalfOpen: true }, (socket) => {
    socket.once("end", () => (hungUp = true))
    socket.once("data", () => setTimeout(() => socket.end(), 50))
  }).listen(0, "127.0.0.1")
  await once(pooler, "listening")
  const { port } = pooler.address() as AddressInfo
  const done = cancelQuery({
    host: "127.0.0.1",
    port,
    processID: 1,
    secretKey: 2,
    ssl: false,
  } as unknown as Client)
  await once(pooler, "connection")
  await sleep(25)
  expect(hungUp).toBe(false)
  await done
  pooler.close()
})

test("a server that falls silent keeps nobody who asks for a cancellation, before TLS and in its midst", async () => {
  const silent = createServer(() => {}).listen(0, "127.0.0.1")
  const promising = createServer((socket) => {
    socket.once("data", () => {
      socket.write("S")
      socket.resume()
    })
  }).listen(0, "127.0.0.1")
  await Promise.all([once(silent, "listening"), once(promising, "listening")])
  const asked = [silent, promising].map((server) =>
    cancelQuery({
      host: "127.0.0.1",
      port: (server.address() as AddressInfo).port,
      processID: 1,
      secretKey: 2,
      ssl: { rejectUnauthorized: false },
    } as unknown as Client),
  )
  await Promise.all(asked)
  for (const server of [silent, promising]) server.close()
})

const PGBOUNCER = "/usr/sbin/pgbouncer"
const isInstalled = (): boolean => {
  try {
    accessSync(PGBOUNCER, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** PgBouncer in transaction mode before the tenant's server; its port. */
async function startPgbouncer(tenant: TestTenant) {
  const folder = await mkdtemp(path.join(tmpdir(), "tenantry-pooler-"))
  const port = await freePort()
  await writeFile(path.join(folder, "users.txt"), `"${loginRole(tenant.id, "a")}" "${tenant.password}"\n`)
  await writeFile(
    path.join(folder, "pgbouncer.ini"),
    `[databases]
* = host=127.0.0.1 port=${new URL(tenant.uri).port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${folder}/users.txt
pool_mode = transaction
default_pool_size = 1
`,
  )
  await chmod(folder, 0o755)
  const asNobody = process.getuid?.() === 0 ? ["-u", "nobody"] : []
  const child = spawn(PGBOUNCER, ["-q", ...asNobody, path.join(folder, "pgbouncer.ini")], { stdio: "ignore" })
  return {
    port,
    isRunning: () => child.exitCode === null && child.signalCode === null,
    async stop() {
      const ended = once(child, "exit")
      child.kill("SIGTERM")
      await ended
      await rm(folder, { recursive: true, force: true })
    },
  }
}

// Where PgBouncer is not installed the test above stands for it.
test.runIf(isInstalled())(
  "a statement over its time is stopped at the server where a session's own limit does not hold",
  async () => {
    const world = await startWorld()
    const tenant = await world.addTenant("Pooled")
    const pooler = await startPgbouncer(tenant)
    const uri = new URL(tenant.uri)
    uri.port = String(pooler.port)
    world.vault.set(tenant.id, { state: "active", uri: uri.href, fleet: FLEET })
    const api = await world.serve({ pools: { statementTimeout: 300 } })
    const database = await api.databases.open(tenant.id)
    // Both are prepared, which poolers learnt late: its one session has them where they were.
    await database.read((query) =>
      query({ name: "no-limit", text: "select set_config('statement_timeout', '0', false)" }, []),
    )
    await expect(
      database.read((query) => query({ name: "sleep", text: "select pg_sleep(60)" }, [])),
    ).rejects.toMatchObject({
      key: "database-timeout",
    })
    await expect
      .poll(() =>
        world.sql(
          "postgres",
          `select query from pg_stat_activity where datname = '${tenant.database}' and state = 'active'`,
        ),
      )
      .toEqual([])
    expect(pooler.isRunning()).toBe(true)
    await api.close()
    await pooler.stop()
    await world.close()
  },
)
