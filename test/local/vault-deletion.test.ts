import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { all, clientOf, polling, refusal, testVault } from "./vault-client.ts"

const day = 24 * 60 * 60 * 1000

describe("deletion, recovery and backup", () => {
  let time = Date.now()
  let vault: Awaited<ReturnType<typeof testVault>>
  let client: ReturnType<typeof clientOf>
  beforeAll(async () => {
    vault = await testVault({
      now: () => time,
      purgeProtection: false,
      recoverableDelayMs: 1000,
      recoveringDelayMs: 1000,
      tokenSeconds: 365 * 24 * 60 * 60,
    })
    client = clientOf(vault.server)
  })
  afterAll(() => vault[Symbol.asyncDispose]())

  async function remove(name: string): Promise<void> {
    const poller = await client.beginDeleteSecret(name, polling)
    time += 1000
    await poller.pollUntilDone()
  }

  test("a deletion goes on after its answer: the name is neither there, nor deleted, nor free", async () => {
    await client.setSecret("going", "v")
    await client.beginDeleteSecret("going", polling)
    const inMotion = { status: 409, code: "Conflict", inner: "ObjectIsBeingDeleted" }
    expect(await refusal(client.getSecret("going"))).toMatchObject({ status: 404 })
    expect(await refusal(client.getDeletedSecret("going"))).toMatchObject({ status: 404 })
    expect((await all(client.listDeletedSecrets())).map(({ name }) => name)).not.toContain("going")
    expect(await refusal(client.setSecret("going", "again"))).toEqual(inMotion)
    expect(await refusal(client.purgeDeletedSecret("going"))).toEqual(inMotion)
    expect(await refusal(client.beginRecoverDeletedSecret("going"))).toEqual(inMotion)
    time += 1000
    expect((await client.getDeletedSecret("going")).name).toBe("going")
  })

  test("a deleted secret says when it was deleted and when it goes for good, and its name stays taken", async () => {
    await client.setSecret("gone", "v", { tags: { a: "1" } })
    await remove("gone")
    const deleted = await client.getDeletedSecret("gone")
    expect(deleted.recoveryId).toBe(`${vault.server.url}/deletedsecrets/gone`)
    expect(deleted.properties.tags).toEqual({ a: "1" })
    const span = (deleted.scheduledPurgeDate?.getTime() ?? 0) - (deleted.deletedOn?.getTime() ?? 0)
    expect(span).toBe(90 * day)
    expect(await refusal(client.setSecret("Gone", "again"))).toEqual({
      status: 409,
      code: "Conflict",
      inner: "ObjectIsDeletedButRecoverable",
    })
    expect((await all(client.listPropertiesOfSecrets())).map(({ name }) => name)).not.toContain("gone")
    expect((await all(client.listDeletedSecrets())).map(({ name }) => name)).toContain("gone")
  })

  test("a recovered secret has all its versions and tags again", async () => {
    await client.setSecret("back", "1", { tags: { a: "1" } })
    await client.setSecret("back", "2", { tags: { a: "2" } })
    await remove("back")
    const poller = await client.beginRecoverDeletedSecret("back", polling)
    expect(await refusal(client.setSecret("back", "3"))).toMatchObject({ inner: "ObjectIsBeingRecovered" })
    time += 1000
    await poller.pollUntilDone()
    const read = await client.getSecret("back")
    expect([read.value, read.properties.tags]).toEqual(["2", { a: "2" }])
    expect(await all(client.listPropertiesOfSecretVersions("back"))).toHaveLength(2)
    expect(await refusal(client.getDeletedSecret("back"))).toMatchObject({ status: 404 })
    await client.setSecret("back", "3")
  })

  test("what was never deleted cannot be recovered", async () => {
    expect(await refusal(client.beginRecoverDeletedSecret("never"))).toMatchObject({ code: "SecretNotFound" })
  })

  test("a purged name is free again, for another spelling too", async () => {
    await client.setSecret("Purged", "v")
    await remove("Purged")
    await client.purgeDeletedSecret("Purged")
    expect(await refusal(client.getDeletedSecret("Purged"))).toMatchObject({ status: 404 })
    expect((await client.setSecret("purged", "new")).name).toBe("purged")
    expect(await all(client.listPropertiesOfSecretVersions("purged"))).toHaveLength(1)
  })

  test("after its retention a deleted secret is gone, and its name free", async () => {
    await client.setSecret("Aged", "v")
    await remove("Aged")
    time += 90 * day - 2000
    expect((await client.getDeletedSecret("Aged")).name).toBe("Aged")
    time += 3000
    expect(await refusal(client.getDeletedSecret("Aged"))).toMatchObject({ status: 404 })
    expect((await client.setSecret("aged", "new")).name).toBe("aged")
    expect(await all(client.listPropertiesOfSecretVersions("aged"))).toHaveLength(1)
  })

  test("a disabled secret that is deleted is listed, and refuses to be got", async () => {
    await client.setSecret("off", "v", { enabled: false })
    await remove("off")
    expect((await all(client.listDeletedSecrets())).map(({ name }) => name)).toContain("off")
    expect(await refusal(client.getDeletedSecret("off"))).toMatchObject({ inner: "SecretDisabled" })
  })

  test("a backup brings back every version once the name is free, and not before", async () => {
    await client.setSecret("saved", "1")
    await client.setSecret("saved", "2", { tags: { a: "2" } })
    const backup = await client.backupSecret("saved")
    if (backup === undefined) throw new Error("no backup came")
    expect(await refusal(client.restoreSecretBackup(backup))).toMatchObject({ status: 409, code: "Conflict" })
    await remove("saved")
    expect(await refusal(client.restoreSecretBackup(backup))).toMatchObject({
      inner: "ObjectIsDeletedButRecoverable",
    })
    await client.purgeDeletedSecret("saved")
    expect((await client.restoreSecretBackup(backup)).name).toBe("saved")
    expect(await client.getSecret("saved")).toMatchObject({ value: "2", properties: { tags: { a: "2" } } })
    expect(await all(client.listPropertiesOfSecretVersions("saved"))).toHaveLength(2)
  })

  test("a backup restores into another vault", async () => {
    await client.setSecret("moved", "v")
    const backup = await client.backupSecret("moved")
    await using other = await testVault()
    await clientOf(other.server).restoreSecretBackup(backup ?? new Uint8Array())
    expect((await clientOf(other.server).getSecret("moved")).value).toBe("v")
  })

  test("bytes that are no backup are refused", async () => {
    const damaged = client.restoreSecretBackup(new Uint8Array(4000))
    await expect(damaged).rejects.toThrow("Backup blob contains invalid or corrupt version.")
    expect(await refusal(client.restoreSecretBackup(new Uint8Array(1)))).toMatchObject({ status: 400 })
    await client.setSecret("altered", "v")
    const backup = Buffer.from((await client.backupSecret("altered")) ?? []).toString()
    await remove("altered")
    await client.purgeDeletedSecret("altered")
    const forged = Buffer.from(backup.replace("altered", "changed"))
    expect(forged.toString()).not.toBe(backup)
    expect(await refusal(client.restoreSecretBackup(forged))).toMatchObject({ status: 400 })
  })
})

test("purge protection refuses a purge, and the secret can still be recovered", async () => {
  await using vault = await testVault()
  const client = clientOf(vault.server)
  await client.setSecret("kept", "v")
  await (await client.beginDeleteSecret("kept", polling)).pollUntilDone()
  expect(await refusal(client.purgeDeletedSecret("kept"))).toMatchObject({ status: 403, code: "Forbidden" })
  await (await client.beginRecoverDeletedSecret("kept", polling)).pollUntilDone()
  expect((await client.getSecret("kept")).properties.recoveryLevel).toBe("Recoverable")
})
