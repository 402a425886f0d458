/**
 * The Dockerfile's recipe, done step by step in empty folders: what it installs and copies is enough to start each app
 * and to answer a request. It takes half a minute of npm, so only TENANTRY_FULL=1 runs it.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { mkdtemp, realpath, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import path from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type Command, startCommand } from "../command.ts"
import { eventually } from "../eventually.ts"
import { freePort } from "../free-port.ts"
import { type Part, useSystem } from "../system.ts"
import { createBuilder, type Image } from "./dockerfile.ts"
import { ROOT } from "./stacks.ts"

const SHOPIFY = "78b0c444-49aa-4308-b35f-9ff530b31920"

const isFull = process.env["TENANTRY_FULL"] === "1"
if (!isFull) process.stderr.write("SKIPPED: the images' recipe is proven only with TENANTRY_FULL=1\n")

describe.skipIf(!isFull)("the images", () => {
  const system = useSystem()
  const images: Record<string, Image> = {}
  const running: Command[] = []
  let folder: string

  beforeAll(async () => {
    folder = await mkdtemp(path.join(await realpath(tmpdir()), "tenantry-images-"))
    await system.start()
    const build = createBuilder(ROOT, folder)
    for (const target of ["api", "reconciler"]) images[target] = build(target)
  }, 180_000)
  afterAll(async () => {
    for (const { isRunning, group, ended } of running) {
      if (isRunning()) process.kill(-group, "SIGKILL")
      await ended
    }
    await rm(folder, { recursive: true, force: true })
  })

  /** The environment of one of the world's own processes, but for what ties that process to its supervisor. */
  function environmentOfPart(part: Part): Record<string, string> {
    const entries = readFileSync(`/proc/${system.pidOf(part)}/environ`, "utf8").split("\0")
    const pairs = entries.flatMap((entry) => {
      const [, name, value] = /^(\w+)=(.*)$/s.exec(entry) ?? []
      return name === undefined || name === "NODE_OPTIONS" ? [] : [[name, value!] as const]
    })
    return Object.fromEntries(pairs)
  }

  /** Starts an image's command where it would find itself. */
  function start(part: "api" | "reconciler", changes: Record<string, string>): Command {
    const { root, workdir, env, command } = images[part]!
    const started = startCommand(command, {
      cwd: path.join(root, workdir),
      env: { ...environmentOfPart(part), ...env, ...changes, PATH: path.dirname(process.execPath) },
      print: () => {},
    })
    running.push(started)
    return started
  }

  async function runHealthcheck(
    part: "api" | "reconciler",
    env: Record<string, string>,
  ): Promise<number | null> {
    const { root, workdir, healthcheck } = images[part]!
    const where = { cwd: path.join(root, workdir), env: { PATH: path.dirname(process.execPath), ...env } }
    return (await startCommand(healthcheck, { ...where, print: () => {} }).ended).code
  }

  it("an image holds what its app needs to run, and nothing else", () => {
    const files = (target: string) => readdirSync(path.join(images[target]!.root, "app")).toSorted()
    expect(files("api")).toEqual(["api", "node_modules", "package.json", "reconciler"])
    expect(files("reconciler")).toEqual(["migrations", "node_modules", "package.json", "reconciler"])
    const { devDependencies } = JSON.parse(readFileSync(path.join(ROOT, "package.json"), "utf8")) as {
      devDependencies: Record<string, string>
    }
    const installed = Object.keys(devDependencies).filter((name) =>
      existsSync(path.join(images["api"]!.root, "app/node_modules", name)),
    )
    // Types that a package which runs brings along.
    expect(installed.filter((name) => !name.startsWith("@types/"))).toEqual([])
  })

  it("no image runs as root", () => {
    for (const { user } of Object.values(images)) expect(user).toBe("1000:1000")
  })

  it("the API's image answers a tenant's request, says that it is healthy, and ends on SIGTERM", async () => {
    const port = String(await freePort())
    expect(await runHealthcheck("api", { PORT: port })).toBe(1)
    const { group, ended, output, isRunning } = start("api", { PORT: port })
    await eventually("the API answers, or has ended", async () => {
      if (!isRunning()) return
      const answer = await fetch(`http://127.0.0.1:${port}/products?limit=1`, {
        headers: { "X-TenantId": SHOPIFY },
      })
      expect(answer.status, output()).toBe(200)
      expect(((await answer.json()) as { items: unknown[] }).items).toHaveLength(1)
    })
    expect(isRunning(), output()).toBe(true)
    expect(await runHealthcheck("api", { PORT: port })).toBe(0)
    process.kill(group, "SIGTERM")
    expect(await ended).toMatchObject({ code: 0, signal: null })
  })

  it("the reconciler's image makes a pass, sees every tenant Ready, and ends on SIGTERM", async () => {
    const port = String(await freePort())
    const { group, ended, output, isRunning } = start("reconciler", {
      STATUS_PORT: port,
      TENANTS_DIR: system.tenantsDir,
      FLEET_FILE: path.join(ROOT, "fleet.yaml"),
    })
    await eventually("a pass has succeeded, or it has ended", async () => {
      if (!isRunning()) return
      expect((await fetch(`http://127.0.0.1:${port}/readyz`)).status, output()).toBe(200)
    })
    expect(isRunning(), output()).toBe(true)
    const status = (await (await fetch(`http://127.0.0.1:${port}/status.json`)).json()) as {
      tenants: { name: string; condition: string }[]
    }
    expect(status.tenants.map(({ name, condition }) => `${name} ${condition}`)).toEqual([
      "Globex Ready",
      "Northwind Ready",
      "Shopify Ready",
    ])
    expect(await runHealthcheck("reconciler", { STATUS_PORT: port })).toBe(0)
    process.kill(group, "SIGTERM")
    expect(await ended).toMatchObject({ code: 0, signal: null })
  })
})
