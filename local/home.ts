/** The folder that holds the local world's data: one world per folder, found again by the next start. */
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises"
import path from "node:path"
import { spawnSync } from "node:child_process"
import { removePostgres } from "./postgres.ts"

export const homeDirectory = (): string => path.resolve(process.env["TENANTRY_HOME"] ?? ".tenantry")
export const postgresDirectory = (home: string): string => path.join(home, "postgres")
export const vaultDirectory = (home: string): string => path.join(home, "vault")
const pidFile = (home: string) => path.join(home, "pid")
const environmentFile = (home: string) => path.join(home, "env")

/** Takes the folder for this process. Throws where a living process has it. */
export async function claimHome(home: string): Promise<void> {
  await mkdir(home, { recursive: true })
  const rival = await holder(home)
  if (rival)
    throw new Error(
      `process ${rival} runs a local world in ${home} already: stop it, or set TENANTRY_HOME to another folder`,
    )
  await writeFile(pidFile(home), String(process.pid))
}

/** The process that has the folder now, if it lives and is a supervisor. */
async function holder(home: string): Promise<number | undefined> {
  const pid = Number(await readFile(pidFile(home), "utf8").catch(() => "0"))
  if (!pid || pid === process.pid) return undefined
  return (await commandLine(pid)).includes("local/main.ts") ? pid : undefined
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
  if (rival) throw new Error(`process ${rival} runs the local world in ${home}: stop it first (Ctrl-C)`)
  await removePostgres(postgresDirectory(home))
  await rm(home, { recursive: true, force: true })
}
