import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { clientOf, refusal, testVault } from "./vault-client.ts"

function tags(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`t${index}`, "v"]))
}

describe("a secret, through Microsoft's client", () => {
  let vault: Awaited<ReturnType<typeof testVault>>
  let client: ReturnType<typeof clientOf>
  beforeAll(async () => {
    vault = await testVault({ softDeleteDays: 30 })
    client = clientOf(vault.server)
  })
  afterAll(() => vault[Symbol.asyncDispose]())

  test("what is set can be read, with an id under the vault's own address", async () => {
    const before = Math.floor(Date.now() / 1000) * 1000
    const set = await client.setSecret("crud-set", "value-1", { contentType: "text/plain", tags: { a: "1" } })
    const read = await client.getSecret("crud-set")
    expect(read).toEqual(set)
    expect(read.value).toBe("value-1")
    expect(read.properties).toMatchObject({
      contentType: "text/plain",
      tags: { a: "1" },
      enabled: true,
      recoveryLevel: "CustomizedRecoverable",
      recoverableDays: 30,
    })
    expect(read.properties.id).toMatch(new RegExp(`^${vault.server.url}/secrets/crud-set/[0-9a-f]{32}$`))
    expect(read.properties.createdOn?.getTime()).toBeGreaterThanOrEqual(before)
    expect(read.properties.updatedOn).toEqual(read.properties.createdOn)
  })

  test("an empty name is refused", async () => {
    await expect(client.setSecret("", "value")).rejects.toThrow()
  })

  test("the limits of names, values and tags hold, and what touches them passes", async () => {
    const bad = { status: 400, code: "BadParameter" }
    const fits = "x".repeat(25 * 1024)
    expect((await client.setSecret("n".repeat(127), fits)).value).toBe(fits)
    expect(await refusal(client.setSecret("n".repeat(128), "v"))).toMatchObject(bad)
    expect(await refusal(client.setSecret("under_score", "v"))).toMatchObject(bad)
    expect(await refusal(client.setSecret("crud-long", `${fits}x`))).toMatchObject(bad)
    expect(await refusal(client.setSecret("crud-long", "ü".repeat(13 * 1024)))).toMatchObject(bad)
    await client.setSecret("crud-tags", "v", { tags: tags(15) })
    expect(await refusal(client.setSecret("crud-tags", "v", { tags: tags(16) }))).toMatchObject(bad)
    await client.updateSecretProperties("crud-tags", "", { tags: { long: "l".repeat(256) } })
    const long = client.updateSecretProperties("crud-tags", "", { tags: { long: "l".repeat(257) } })
    expect(await refusal(long)).toMatchObject(bad)
    expect((await client.getSecret("crud-tags")).properties.tags).toEqual({ long: "l".repeat(256) })
  })

  test("writes at the same time are all kept", async () => {
    await Promise.all(Array.from({ length: 100 }, (_, i) => client.setSecret(`crud-many-${i}`, `v${i}`)))
    const read = await Promise.all(Array.from({ length: 100 }, (_, i) => client.getSecret(`crud-many-${i}`)))
    expect(read.map(({ value }) => value)).toEqual(Array.from({ length: 100 }, (_, i) => `v${i}`))
  })
})
