import { createRequire } from "node:module"
import { afterAll, beforeAll, expect, test } from "vitest"
import { NotConnected } from "../../api/connections.ts"
import { rememberScramKeys } from "../../reconciler/providers/scram.ts"
import { connectTo, startWorld, type World } from "./world.ts"

let world: World
beforeAll(async () => {
  world = await startWorld()
}, 60_000)
afterAll(() => world?.close())

test("pg takes the key that is remembered, and derives none for a session of the same login", async () => {
  const tenant = await world.addTenant("Again")
  rememberScramKeys()
  const steps = createRequire(import.meta.url)("pg/lib/crypto/utils") as {
    deriveKey: (...of: unknown[]) => Promise<unknown>
  }
  const { deriveKey } = steps
  const given: unknown[] = []
  steps.deriveKey = async (...of) => {
    const key = await deriveKey(...of)
    given.push(key)
    return key
  }
  for (const connection of [await connectTo(tenant, tenant.uri), await connectTo(tenant, tenant.uri)])
    await connection.close()
  steps.deriveKey = deriveKey
  expect(given).toHaveLength(2)
  expect(given[1]).toBe(given[0])
})

test("a wrong password is refused, before and after the right one was remembered, and so is the old one of two", async () => {
  rememberScramKeys()
  const tenant = await world.addTenant("Careful")
  const wrong = tenant.uri.replace(tenant.password, "wrong")
  const refused = async (uri: string) => {
    const error: unknown = await connectTo(tenant, uri).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(NotConnected)
    expect((error as NotConnected).cause).toMatchObject({ code: "28P01" })
  }
  await refused(wrong)
  await (await connectTo(tenant, tenant.uri)).close()
  await refused(wrong)
  const role = decodeURIComponent(new URL(tenant.uri).username)
  await world.admin.query(`alter role "${role}" password 'another'`)
  await refused(tenant.uri)
  await (await connectTo(tenant, tenant.uri.replace(tenant.password, "another"))).close()
})
