/** The whole system, started as a person starts it, and looked at from outside. */
import { randomUUID } from "node:crypto"
import { cpSync, mkdirSync, realpathSync } from "node:fs"
import { rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import path from "node:path"
import { afterAll, afterEach, beforeAll } from "vitest"
import { removePostgres } from "../local/postgres.ts"
import type { FleetStatus } from "../reconciler/controller.ts"
import { checkOut } from "./checkout.ts"
import { environmentOf, listCredentials, listDatabases, listSecrets } from "./cloud.ts"
import { COMPILED } from "./compiled.ts"
import { type Command, type Ended, machinePath, startCommand } from "./command.ts"
import { eventually } from "./eventually.ts"
import { freePort } from "./free-port.ts"
import { processesOf } from "./processes.ts"

const REPOSITORY = path.resolve(import.meta.dirname, "..")

type Answer = { status: number; type: string | null; body: any } // oxlint-disable-line typescript/no-explicit-any -- tests look into JSON of every shape

/** How to tell each process by its arguments. */
const PARTS = {
  supervisor: (words: string[]) => words[1]?.endsWith("local/main.ts"),
  reconciler: (words: string[]) => words[1]?.endsWith("reconciler/main.ts"),
  api: (words: string[]) => words[1]?.endsWith("api/main.ts"),
  postgres: (words: string[]) => words[1] === "-D",
  /** Ends Postgres when the supervisor is gone. */
  leash: (words: string[]) => words[0] === "sh" && words[2]?.startsWith("read "),
  "a tenant's session": (words: string[]) => words[0]?.startsWith("postgres: tenant_"),
}
export type Part = keyof typeof PARTS

/**
 * One system of its own: its folders and ports are nobody else's. Call it where hooks may be registered; whatever
 * the tests do, nothing of it is left when they are over.
 *
 * With `checkout` it runs in a copy of the repository that only this user can enter, with the folders that it has
 * by itself; without, in the repository, with folders in a temporary one.
 */
export function useSystem({
  checkout = false,
  environment: common = {},
}: { checkout?: boolean; environment?: NodeJS.ProcessEnv } = {}) {
  const folder = path.join(realpathSync(tmpdir()), `tenantry-system-${randomUUID()}`)
  const root = checkout ? path.join(folder, "checkout") : REPOSITORY
  const home = checkout ? path.join(root, ".tenantry") : path.join(folder, "home")
  const tenantsDir = path.join(checkout ? root : folder, "tenants")
  const ports = { api: 0, status: 0 }
  let printed = ""
  let running: Command | undefined

  const begin = (words: readonly string[], others: NodeJS.ProcessEnv): Command =>
    startCommand(words, {
      cwd: root,
      env: {
        PATH: machinePath(),
        HOME: process.env["HOME"],
        LANG: process.env["LANG"],
        // Every process that the system starts inherits this one, and is known by it.
        TMPDIR: folder,
        PORT: String(ports.api),
        STATUS_PORT: String(ports.status),
        ...COMPILED,
        npm_config_cache: path.join(folder, "npm"),
        npm_config_offline: "true",
        npm_config_loglevel: "error",
        npm_config_update_notifier: "false",
        ...(checkout ? {} : { TENANTRY_HOME: home, TENANTS_DIR: tenantsDir }),
        ...common,
        ...others,
      },
      print: (text) => (printed += text),
    })
  const processes = () => processesOf(`TMPDIR=${folder}`, home)

  function pidOf(part: Part): number {
    const found = processes().find((candidate) => PARTS[part](candidate.arguments))
    if (!found) throw new Error(`there is no process of ${part}`)
    return found.pid
  }

  function killAll(): void {
    for (const { pid } of processes()) {
      try {
        process.kill(pid, "SIGKILL")
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error
      }
    }
  }

  beforeAll(() => {
    process.on("exit", killAll)
    mkdirSync(folder, { mode: checkout ? 0o700 : 0o711 })
    if (checkout) checkOut(REPOSITORY, root)
    else cpSync(path.join(REPOSITORY, "tenants"), tenantsDir, { recursive: true })
  })
  afterEach(({ task }) => {
    if (task.result?.state === "fail") process.stderr.write(`the system printed:\n${printed.slice(-4000)}\n`)
  })
  afterAll(async () => {
    await eventually("every process has ended", () => {
      const left = processes()
      killAll()
      if (left.length > 0) throw new Error(JSON.stringify(left))
    })
    process.off("exit", killAll)
    await removePostgres(path.join(home, "postgres"))
    await rm(folder, { recursive: true, force: true })
  })

  const system = {
    root,
    home,
    tenantsDir,
    /** Known after the first start. */
    ports,
    /** Everything that any command here has printed so far. */
    printed: () => printed,
    isRunning: () => running?.isRunning() ?? false,
    /** Settles when the last "npm start" has ended. */
    ended: () => running!.ended,

    /** Runs a command in the repository until it ends. */
    run: (words: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Ended> =>
      begin(words, environment).ended,

    /** "npm start"; does not wait. */
    launch: async (): Promise<void> => {
      if (ports.api === 0) Object.assign(ports, { api: await freePort(), status: await freePort() })
      running = begin(["npm", "start"], {})
    },

    /** "npm start" until it says that all is ready. Throws with what it printed when it ends instead. */
    start: async (): Promise<void> => {
      await system.launch()
      const { output, isRunning, ended } = running!
      await eventually("npm start has ended, or tenantry is ready", () => {
        if (isRunning() && !output().includes("tenantry is ready")) throw new Error(output())
      })
      if (!isRunning()) throw new Error(`npm start ended by itself: ${(await ended).output}`)
    },

    /** Ctrl-C, until it has ended. */
    stop: async (): Promise<Ended> => {
      process.kill(-running!.group, "SIGINT")
      return running!.ended
    },

    processes,
    pidOf,

    /** kill -9; returns the id that the process had. */
    kill: (part: Part): number => {
      const pid = pidOf(part)
      process.kill(pid, "SIGKILL")
      return pid
    },

    /** kill -9 of all of it at once. */
    killAll,

    /** Asks the API. */
    request: async (
      method: string,
      target: string,
      { tenant, body }: { tenant?: string; body?: unknown } = {},
    ): Promise<Answer> => {
      const response = await fetch(`http://127.0.0.1:${ports.api}${target}`, {
        method,
        headers: {
          ...(tenant === undefined ? {} : { "X-TenantId": tenant }),
          ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      const text = await response.text()
      const type = response.headers.get("content-type")
      return { status: response.status, type, body: text && JSON.parse(text) }
    },

    /** What the reconciler says of the fleet. */
    status: async (): Promise<FleetStatus> => {
      const response = await fetch(`http://127.0.0.1:${ports.status}/status.json`)
      return (await response.json()) as FleetStatus
    },

    /** The names of Neon's databases, sorted. */
    databases: async () => listDatabases(await environmentOf(home)),
    /** The vault's secrets without their values, sorted by name. */
    secrets: async () => listSecrets(await environmentOf(home)),
    /** What nobody may see printed. */
    credentials: async () => listCredentials(await environmentOf(home)),

    save: (file: string, text: string) => writeFile(path.join(tenantsDir, file), text),
    remove: (file: string) => rm(path.join(tenantsDir, file)),
  }
  return system
}
