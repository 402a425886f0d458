/** The running reconciler, fed by commits as git-sync publishes them, and what a person sees of it. */
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import path from "node:path"
import { stripVTControlCharacters } from "node:util"
import { afterAll, beforeAll, expect, test } from "vitest"
import type { Command } from "../command.ts"
import { runHere } from "../command-line.ts"
import { eventually } from "../eventually.ts"
import { freePort } from "../free-port.ts"
import { type FleetWorld, startFleet } from "./world.ts"

const ADA = "aaaaaaaa-0000-4000-8000-000000000001"
const BOB = "bbbbbbbb-0000-4000-8000-000000000002"

let world: FleetWorld
let reconciler: Command
let port: number
let before: string | undefined

/** Publishes a commit: the whole tree, then the link by a rename, and the old tree goes. */
function publish(commit: string, tenants: Record<string, string>): void {
  const root = path.join(world.folder, "git")
  const tree = path.join(root, ".worktrees", commit)
  mkdirSync(path.join(tree, "tenants/team"), { recursive: true })
  for (const [id, name] of Object.entries(tenants))
    writeFileSync(path.join(tree, `tenants/team/${id}.yaml`), `id: ${id}\nname: ${name}\n`)
  symlinkSync(path.join(".worktrees", commit), path.join(root, "link"))
  renameSync(path.join(root, "link"), path.join(root, "current"))
  if (before) rmSync(path.join(root, ".worktrees", before), { recursive: true })
  before = commit
}

const status = (...words: string[]) =>
  runHere(["status", ...words], { ...world.environment(), STATUS_PORT: String(port) })
const shows = (what: string, ...lines: RegExp[]) =>
  eventually(what, async () => {
    const { output } = await status()
    for (const line of lines) expect(output).toMatch(line)
  })

beforeAll(async () => {
  world = await startFleet({ steps: 1 })
  port = await freePort()
  publish("one", { [ADA]: "Ada" })
  reconciler = world.start(["run"], {
    TENANTS_DIR: path.join(world.folder, "git/current/tenants"),
    STATUS_PORT: String(port),
    // So long that what is seen in time was seen by the watcher.
    RECONCILE_INTERVAL: "3600",
  })
})
afterAll(() => world.stop())

const passes = () => reconciler.output().match(/"msg":"plan made"/g)?.length ?? 0

test("a commit is applied when git-sync publishes it, in one pass, and the next one too", async () => {
  await shows("Ada is served", /^Ada +Ready +Served/m)
  await world.plant(ADA)
  const first = passes()
  publish("two", { [ADA]: "Ada-2", [BOB]: "Bob" })
  await shows("both are served", /^Ada-2 +Ready +Served/m, /^Bob +Ready +Served/m)
  expect(passes()).toBe(first + 1)
  const rows = await world.sql("products-Ada-2", "select from products where description = 'planted'")
  expect(rows).toHaveLength(world.planted.get(ADA)!.length)
})

test("an empty commit removes nobody, says so, and is over with the next one", async () => {
  publish("three", {})
  await shows(
    "both wait for a person",
    /^Ada-2 +Stalled +NothingDesired +active/m,
    /^Bob +Stalled +NothingDesired +active/m,
    /^Bob: no tenant at all is declared: is it the right folder\?; to allow it once: npx tenantry approve \S+ retire$/m,
  )
  publish("four", { [ADA]: "Ada-2", [BOB]: "Bob" })
  await shows("both are well", /^2 tenants: 2 Ready$/m)
})

test("status chooses and pages, as a table and as JSON", async () => {
  expect((await status("--name", "bo")).output).toMatch(/^NAME .*\nBob +Ready .*\n1 of 2 tenants: 1 Ready\n$/)
  expect((await status("--limit", "1", "--page", "2")).output).toMatch(
    /^NAME .*\nBob .*\n2 tenants: 2 Ready; page 2 of 2 /,
  )
  expect((await status("--condition", "Stalled")).output).toMatch(/^NAME .*\n0 of 2 tenants\n$/)
  const { tenants } = JSON.parse((await status("--json", "--state", "active")).output) as {
    tenants: { name: string }[]
  }
  expect(tenants.map(({ name }) => name)).toEqual(["Ada-2", "Bob"])
})

test("status --watch shows what changes, until Ctrl-C, and ends without a word", async () => {
  const watching = world.start(["status", "--watch", "--no-color"], { STATUS_PORT: String(port) })
  await eventually("it shows the fleet", () => expect(watching.output()).toMatch(/^2 tenants: 2 Ready$/m))
  publish("five", { [ADA]: "Ada-2", [BOB]: "Robert" })
  await eventually("it shows the change", () => expect(watching.output()).toMatch(/^Robert +Ready/m))
  process.kill(-watching.group, "SIGINT")
  const { code, output } = await watching.ended
  expect(code).toBe(0)
  expect(output).not.toMatch(/\bat |Error/)
  expect(stripVTControlCharacters(output)).toBe(output)
})

test("a second reconciler on the same port ends with one line", async () => {
  const second = await world.run(["run"], { STATUS_PORT: String(port), LOG_LEVEL: "fatal" })
  expect(second).toMatchObject({
    code: 1,
    output: `port ${port} for the status cannot be had (EADDRINUSE): set STATUS_PORT or STATUS_HOST, or end the reconciler that runs already\n`,
  })
})
