/** The live tests themselves: they say when they did not run, and they do run, here against the stand-ins. */
import path from "node:path"
import { beforeAll, expect, it } from "vitest"
import { environmentOf } from "./cloud.ts"
import { useSystem } from "./system.ts"

const system = useSystem()
beforeAll(() => system.start())

const live = (environment: NodeJS.ProcessEnv) =>
  system.run([process.execPath, path.resolve(import.meta.dirname, "live.ts")], environment)

it("without credentials they say loudly that they did not run, and fail", async () => {
  const { code, output } = await live({ NEON_API_KEY: "napi_only_this_one" })
  expect(code).toBe(1)
  expect(output).toContain(
    "THE LIVE TESTS DID NOT RUN: NEON_PROJECT_ID, NEON_DATABASE_OWNER, KEY_VAULT_URL not set.",
  )
})

it("with credentials they live a tenant's life, and leave nothing in the vault; databases go with their branch", async () => {
  const [databases, secrets] = [await system.databases(), await system.secrets()]
  const { TENANTS_DIR: _, ...environment } = await environmentOf(system.home)
  const { code, output } = await live(environment)
  expect(output).toContain("the live tests passed")
  expect(output).not.toContain("FAIL")
  expect(output.match(/^ok {4}/gm)!.length).toBeGreaterThanOrEqual(9)
  expect(code).toBe(0)
  expect((await system.secrets()).map(({ name }) => name)).toEqual(secrets.map(({ name }) => name))
  const left = (await system.databases()).filter((name) => !databases.includes(name))
  for (const name of left) expect(name).toMatch(/^products-Live-/)
  for (const credential of await system.credentials()) expect(output).not.toContain(credential)
})
