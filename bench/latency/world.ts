/** The whole system as `npm start` runs it, in processes of its own. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises"
import path from "node:path"
import { createInterface } from "node:readline"
import { parseEnv } from "node:util"
import { freePort } from "../free-port.ts"

const ROOT = path.resolve(import.meta.dirname, "../..")

export type RunningWorld = {
  api: string
  tenantsDir: string
  /** The environment of the running world, see $TENANTRY_HOME/env. */
  environment: Readonly<Record<string, string>>
  /** What `npm start` said, and when: milliseconds since it began. */
  said: readonly { line: string; ms: number }[]
  stop: () => Promise<void>
}

/** Starts it on `home` with the sample tenants; resolves when it is ready. Throws with its words where it ends before. */
export async function startWorld(home: string): Promise<RunningWorld> {
  const tenantsDir = path.join(home, "tenants")
  await mkdir(home, { recursive: true })
  await cp(path.join(ROOT, "tenants"), tenantsDir, { recursive: true })
  const [port, statusPort] = [await freePort(), await freePort()]
  const started = performance.now()
  const child = spawn(process.execPath, [path.join(ROOT, "local/main.ts")], {
    cwd: ROOT,
    env: {
      ...process.env,
      PORT: String(port),
      STATUS_PORT: String(statusPort),
      TENANTRY_HOME: path.join(home, "data"),
      TENANTS_DIR: tenantsDir,
    },
    stdio: ["ignore", "pipe", "pipe"],
  })
  const said: { line: string; ms: number }[] = []
  const hear = (line: string) => said.push({ line, ms: performance.now() - started })
  const errors = createInterface({ input: child.stderr })
  errors.on("line", hear)
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()))
  const ready = new Promise<void>((resolve) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      hear(line)
      if (line.startsWith("tenantry is ready")) resolve()
    })
  })
  const isReady = await Promise.race([ready.then(() => true), ended.then(() => false)])
  if (!isReady) throw new Error(`npm start has ended: ${said.map(({ line }) => line).join("\n")}`)
  const text = await readFile(path.join(home, "data/env"), "utf8")
  return {
    api: `http://127.0.0.1:${port}`,
    tenantsDir,
    environment: parseEnv(text) as Record<string, string>,
    said,
    stop: async () => {
      child.kill("SIGINT")
      await ended
    },
  }
}

/** Empties what a world on `home` keeps, also what Postgres keeps elsewhere. Throws where that cannot be done. */
export async function resetWorld(home: string): Promise<void> {
  const reset = spawn(process.execPath, [path.join(ROOT, "local/reset.ts")], {
    cwd: ROOT,
    env: { ...process.env, TENANTRY_HOME: path.join(home, "data") },
    stdio: ["ignore", "ignore", "inherit"],
  })
  const [code] = (await once(reset, "exit")) as [number | null]
  if (code !== 0) throw new Error(`npm run reset has failed on ${home}: see above`)
  await rm(home, { recursive: true, force: true })
}

/** Writes a tenant's file as an editor does. */
export const declare = (world: RunningWorld, id: string, name: string): Promise<void> =>
  writeFile(path.join(world.tenantsDir, `${name}.yaml`), `id: ${id}\nname: ${name}\n`)
