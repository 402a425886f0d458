/** The folder that holds the local world's data: one world per folder, found again by the next start. */
import { spawnSync } from "node:child_process"
import { mkdir, readdir, readFile, realpath, rename, rm, writeFile } from "node:fs/promises"
import path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { removePostgres } from "./postgres.ts"

export const homeDirectory = (): string => path.resolve(process.env["TENANTRY_HOME"] ?? ".tenantry")
/** Of the cells, the first of which is number 1. */
export const postgresDirectory = (home: string, cell = 1): string =>
  path.join(home, cell === 1 ? "postgres" : `postgres-${cell}`)
/** How many cells the folder holds; at least one. */
export async function countCells(home: string): Promise<number> {
  const names = await readdir(home).catch(() => [])
  return Math.max(1, ...names.map((name) => Number(/^postgres-([2-9])$/.exec(name)?.[1] ?? 1)))
}
export const vaultDirectory = (home: string): string => path.join(home, "vault")
const pidFile = (home: string) => path.join(home, "pid")
const environmentFile = (home: string) => path.join(home, "env")

/**
 * Takes the folder for this process. A supervisor whose own parent was killed is left over from an earlier start, and is
 * ended first. Throws where a living one has the folder.
 */
export async function claimHome(home: string): Promise<void> {
  await mkdir(home, { recursive: true })
  const rival = await holder(home)
  if (rival && isAlive(rival.parent)) {
    throw new Error(
      `process ${rival.pid} runs a local world in ${home} already: stop it, or set TENANTRY_HOME to another folder`,
    )
  }
  if (rival) await end(rival.pid)
  const claim: Claim = { pid: process.pid, parent: process.ppid, home: await realpath(home) }
  await writeFile(pidFile(home), JSON.stringify(claim))
}

/** null where the file is not whole: a disk that was full, or power that failed, leaves it so. */
function parseClaim(text: string): Claim | null {
  try {
    return JSON.parse(text) as Claim | null
  } catch {
    return null
  }
}

type Claim = { pid: number; parent: number; home: string }

/** The supervisor that has the folder now, if it lives; a copy of the folder is nobody's. */
async function holder(home: string): Promise<Claim | undefined> {
  const text = await readFile(pidFile(home), "utf8").catch(() => "null")
  const claim = parseClaim(text)
  if (!claim || claim.pid === process.pid || claim.home !== (await realpath(home))) return undefined
  return (await commandLine(claim.pid)).includes("local/main.ts") ? claim : undefined
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"
  }
}

/** Asks a process to end, and waits until it has. */
async function end(pid: number): Promise<void> {
  process.kill(pid, "SIGTERM")
  while (isAlive(pid)) await sleep(50)
}

/** Of a living process; empty where there is none. A pid alone may have passed to somebody else. */
const commandLine = async (pid: number): Promise<string> =>
  process.platform === "linux"
    ? readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")
    : spawnSync("ps", ["-o", "args=", "-p", String(pid)], { encoding: "utf8" }).stdout

/** Leaves the environment of the running world where the command line finds it; only the owner can read it. */
export async function writeEnvironment(home: string, variables: Record<string, string>): Promise<string> {
  const file = environmentFile(home)
  const text = Object.entries(variables).map(([key, value]) => `${key}=${value}\n`)
  await writeFile(`${file}.draft`, text.join(""), { mode: 0o600 })
  await rename(`${file}.draft`, file)
  return file
}

/** Gives the folder back: what is in it stays, but nobody answers at those addresses any more. */
export async function releaseHome(home: string): Promise<void> {
  await rm(environmentFile(home), { force: true })
  await rm(pidFile(home), { force: true })
}

/** Deletes the folder with all tenants' data. Throws where a world runs in it. */
export async function removeHome(home: string): Promise<void> {
  const rival = await holder(home)
  if (rival) throw new Error(`process ${rival.pid} runs the local world in ${home}: stop it first (Ctrl-C)`)
  const parts = await readdir(home).catch(() => [])
  for (const part of parts.filter((name) => /^postgres(?:-\d+)?$/.test(name)))
    await removePostgres(path.join(home, part))
  await rm(home, { recursive: true, force: true })
}
