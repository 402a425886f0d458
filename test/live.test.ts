/** The live tests themselves: they say when they did not run, and they do run, here against the stand-ins. */
import path from "node:path"
import { afterAll, beforeAll, expect, it } from "vitest"
import { startCommand } from "./command.ts"
import { eventually } from "./eventually.ts"
import { startProject } from "./live/project.ts"
import { all, clientOf, testVault } from "./local/vault-client.ts"

const FAST = { NEON_POLL_INTERVAL: "20", NEON_REQUESTS_PER_SECOND: "1000", PATH: process.env["PATH"] }

let project: Awaited<ReturnType<typeof startProject>>
beforeAll(async () => {
  project = await startProject()
})
afterAll(() => project.close())

const isFull = process.env["TENANTRY_FULL"] === "1"
if (!isFull)
  process.stderr.write("SKIPPED: live tests do without their contracts; TENANTRY_FULL=1 runs both\n")

const live = (environment: NodeJS.ProcessEnv, ...parts: string[]) =>
  startCommand([process.execPath, path.resolve(import.meta.dirname, "live.ts"), ...parts], {
    cwd: path.resolve(import.meta.dirname, ".."),
    env: environment,
    print: () => {},
  })

const names = async (secrets: AsyncIterable<{ name: string }>) => (await all(secrets)).map(({ name }) => name)

/** A vault in which somebody else's secret lies, and what is in it by name. */
async function startVault(purgeProtection: boolean) {
  const vault = await testVault({ purgeProtection })
  const client = clientOf(vault.server)
  await client.setSecret("tenant-of-somebody", "theirs")
  return {
    header: vault.server.identity.header,
    environment: { ...FAST, ...project.environment, ...vault.server.environment("reconciler") },
    secrets: () => names(client.listPropertiesOfSecrets()),
    deleted: () => names(client.listDeletedSecrets()),
    [Symbol.asyncDispose]: () => vault[Symbol.asyncDispose](),
  }
}

it("without credentials they say loudly that they did not run, and fail", async () => {
  const { code, output } = await live({ PATH: process.env["PATH"], NEON_API_KEY: "napi_only_this_one" }).ended
  expect(code).toBe(1)
  expect(output).toContain(
    "THE LIVE TESTS DID NOT RUN: NEON_PROJECT_ID, NEON_DATABASE_OWNER, KEY_VAULT_URL not set.",
  )
})

it("with credentials they do what they are asked to, and leave no branch and no secret", async () => {
  await using vault = await startVault(false)
  const { code, output } = await live(vault.environment, ...(isFull ? [] : ["life"])).ended
  expect(output).toContain("the live tests passed")
  expect(output).not.toContain("FAIL")
  expect(output.match(/^ok {4}/gm)!.length).toBeGreaterThanOrEqual(10)
  if (isFull) expect(output).toMatch(/Tests {2}2\d passed/)
  expect(code).toBe(0)
  expect(project.branches()).toEqual(["br-main"])
  expect(await vault.secrets()).toEqual(["tenant-of-somebody"])
  expect(await vault.deleted()).toEqual([])
  expect(output).not.toContain(vault.header)
})

it("after a Ctrl-C in their midst they remove what they made; what may not be purged stays deleted", async () => {
  await using vault = await startVault(true)
  const { ended, group, output } = live(vault.environment, "contracts")
  await eventually("there is a branch", () => expect(output()).toContain("ok    a branch is made"))
  await eventually("there are secrets", async () => expect((await vault.secrets()).length).toBeGreaterThan(3))
  expect(project.branches()).toHaveLength(2)
  process.kill(-group, "SIGINT")
  expect(await ended).toMatchObject({ code: 130 })
  expect(output()).toContain("interrupted: removing what was made")
  expect(project.branches()).toEqual(["br-main"])
  expect(await vault.secrets()).toEqual(["tenant-of-somebody"])
  expect((await vault.deleted()).length).toBeGreaterThan(0)
})

it("a branch whose making was never answered is removed too", async () => {
  await using vault = await startVault(false)
  project.loseNextBranch()
  const { code, output } = await live(vault.environment, "life").ended
  expect(output).toContain("FAIL  a branch is made: ")
  expect(output).toContain("ok    the branch is gone")
  expect(code).toBe(1)
  expect(project.branches()).toEqual(["br-main"])
})
