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

  test("an empty value is a value", async () => {
    await client.setSecret("crud-empty", "")
    expect((await client.getSecret("crud-empty")).value).toBe("")
  })

  test("an empty name is refused", async () => {
    await expect(client.setSecret("", "value")).rejects.toThrow()
  })

  test("a name that was never set is SecretNotFound, to read, to update and to delete", async () => {
    const absent = { status: 404, code: "SecretNotFound", inner: undefined }
    expect(await refusal(client.getSecret("crud-absent"))).toEqual(absent)
    expect(await refusal(client.updateSecretProperties("crud-absent", "", { enabled: false }))).toEqual(
      absent,
    )
    expect(await refusal(client.beginDeleteSecret("crud-absent"))).toEqual(absent)
    expect(await refusal(client.getDeletedSecret("crud-absent"))).toEqual(absent)
    expect(await refusal(client.backupSecret("crud-absent"))).toEqual(absent)
  })

  test("a second set is a new version, and the first one stays", async () => {
    const first = await client.setSecret("crud-versions", "old", { tags: { kept: "no" } })
    const second = await client.setSecret("crud-versions", "new")
    expect(second.properties.version).not.toBe(first.properties.version)
    const latest = await client.getSecret("crud-versions")
    expect([latest.value, latest.properties.tags]).toEqual(["new", undefined])
    const old = await client.getSecret("crud-versions", { version: first.properties.version ?? "" })
    expect([old.value, old.properties.tags]).toEqual(["old", { kept: "no" }])
    expect(await refusal(client.getSecret("crud-versions", { version: "0".repeat(32) }))).toMatchObject({
      status: 404,
    })
  })

  test("names differ by more than case, and keep their first spelling", async () => {
    await client.setSecret("Crud-Case", "one")
    const second = await client.setSecret("CRUD-CASE", "two")
    expect(second.name).toBe("Crud-Case")
    expect(await client.getSecret("crud-case")).toMatchObject({ name: "Crud-Case", value: "two" })
  })

  test("a disabled secret can be updated and not be read", async () => {
    await client.setSecret("crud-disabled", "hidden", { enabled: false })
    const disabled = { status: 403, code: "Forbidden", inner: "SecretDisabled" }
    expect(await refusal(client.getSecret("crud-disabled"))).toEqual(disabled)
    await client.updateSecretProperties("crud-disabled", "", { tags: { state: "reserved" } })
    expect(await refusal(client.getSecret("crud-disabled"))).toEqual(disabled)
    await client.updateSecretProperties("crud-disabled", "", { enabled: true })
    const read = await client.getSecret("crud-disabled")
    expect([read.value, read.properties.tags]).toEqual(["hidden", { state: "reserved" }])
  })

  test("an update changes what it names, and replaces the tags as a whole", async () => {
    const expiresOn = new Date("2037-01-01")
    await client.setSecret("crud-update", "v", { contentType: "text/x", tags: { a: "1", b: "2" } })
    await client.updateSecretProperties("crud-update", "", { expiresOn })
    const updated = await client.updateSecretProperties("crud-update", "", { tags: { c: "3" } })
    expect(updated).toMatchObject({ expiresOn, contentType: "text/x", enabled: true })
    expect(updated.tags).toEqual({ c: "3" })
    expect(updated).not.toHaveProperty("value")
    expect((await client.getSecret("crud-update")).value).toBe("v")
  })

  test("an update of a named version leaves the newest alone", async () => {
    const first = await client.setSecret("crud-old", "1")
    await client.setSecret("crud-old", "2")
    await client.updateSecretProperties("crud-old", first.properties.version ?? "", { enabled: false })
    expect((await client.getSecret("crud-old")).value).toBe("2")
    const old = client.getSecret("crud-old", { version: first.properties.version ?? "" })
    expect(await refusal(old)).toMatchObject({ inner: "SecretDisabled" })
  })

  test("a secret outside its dates is returned all the same", async () => {
    await client.setSecret("crud-expired", "late", { expiresOn: new Date("2001-01-01") })
    await client.setSecret("crud-early", "soon", { notBefore: new Date("2037-01-01") })
    expect((await client.getSecret("crud-expired")).value).toBe("late")
    expect((await client.getSecret("crud-early")).properties.notBefore).toEqual(new Date("2037-01-01"))
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
