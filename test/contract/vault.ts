/** What the reconciler and the API rely on in Key Vault; each promise holds at Azure and at its stand-in. */
import type { SecretClient } from "@azure/keyvault-secrets"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { all, refusal } from "../local/vault-client.ts"

export type VaultPlace = {
  /** With the role Key Vault Secrets Officer. */
  client: SecretClient
  /** Begins the names of all that is made here. */
  prefix: string
  /** How often a deletion is looked at; milliseconds. */
  polling: { intervalInMs: number }
  close: () => Promise<void>
}

const tagsOf = (count: number): Record<string, string> =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`t${index}`, "v"]))

/** Registers the promises about secrets. `open` is called once. */
export function describeVault(open: () => Promise<VaultPlace>): void {
  describe("Key Vault", () => {
    let place: VaultPlace
    let client: SecretClient
    const named = (name: string) => `${place.prefix}-${name}`
    const isOurs = ({ name }: { name: string }) => name.toLowerCase().startsWith(`${place.prefix}-`)
    const listed = async () => (await all(client.listPropertiesOfSecrets())).filter(isOurs)
    const remove = async (name: string) =>
      (await client.beginDeleteSecret(named(name), place.polling)).pollUntilDone()
    const recover = async (name: string) =>
      (await client.beginRecoverDeletedSecret(named(name), place.polling)).pollUntilDone()

    beforeAll(async () => {
      place = await open()
      ;({ client } = place)
    })
    afterAll(() => place.close())

    test("an update of a named version leaves the newest alone", async () => {
      const first = await client.setSecret(named("old"), "1")
      await client.setSecret(named("old"), "2")
      const version = first.properties.version!
      await client.updateSecretProperties(named("old"), version, { enabled: false })
      expect((await client.getSecret(named("old"))).value).toBe("2")
      expect(await refusal(client.getSecret(named("old"), { version }))).toMatchObject({
        inner: "SecretDisabled",
      })
    })

    test("what is set can be read, an empty value too, with its tags", async () => {
      const set = await client.setSecret(named("set"), "value-1", {
        contentType: "text/plain",
        tags: { a: "1" },
      })
      const read = await client.getSecret(named("set"))
      expect(read).toMatchObject({ name: named("set"), value: "value-1" })
      expect(read.properties).toMatchObject({
        version: set.properties.version,
        contentType: "text/plain",
        tags: { a: "1" },
        enabled: true,
      })
      await client.setSecret(named("empty"), "")
      expect((await client.getSecret(named("empty"))).value).toBe("")
    })

    test("a name that was never set is SecretNotFound, to read, to update and to delete", async () => {
      const absent = { status: 404, code: "SecretNotFound" }
      expect(await refusal(client.getSecret(named("absent")))).toMatchObject(absent)
      expect(
        await refusal(client.updateSecretProperties(named("absent"), "", { enabled: false })),
      ).toMatchObject(absent)
      expect(await refusal(client.beginDeleteSecret(named("absent"), place.polling))).toMatchObject(absent)
      expect(await refusal(client.getDeletedSecret(named("absent")))).toMatchObject(absent)
      expect(await refusal(client.backupSecret(named("absent")))).toMatchObject(absent)
    })

    test("a second set is a new version without the first one's tags, and the first one stays", async () => {
      const first = await client.setSecret(named("versions"), "old", { tags: { kept: "no" } })
      await client.setSecret(named("versions"), "new")
      const latest = await client.getSecret(named("versions"))
      expect([latest.value, latest.properties.tags ?? {}]).toEqual(["new", {}])
      const read = (version: string) => client.getSecret(named("versions"), { version })
      const old = await read(first.properties.version!)
      expect([old.value, old.properties.tags]).toEqual(["old", { kept: "no" }])
      expect(await refusal(read("0".repeat(32)))).toMatchObject({ status: 404 })
    })

    test("names that differ only by case are one, in the first spelling", async () => {
      await client.setSecret(named("Case"), "one")
      await client.setSecret(named("CASE"), "two")
      expect(await client.getSecret(named("case"))).toMatchObject({ name: named("Case"), value: "two" })
      expect((await listed()).filter(({ name }) => name.toLowerCase() === named("case"))).toHaveLength(1)
    })

    test("a disabled secret can be updated and not be read", async () => {
      await client.setSecret(named("disabled"), "hidden", { enabled: false })
      const disabled = { status: 403, code: "Forbidden", inner: "SecretDisabled" }
      expect(await refusal(client.getSecret(named("disabled")))).toEqual(disabled)
      await client.updateSecretProperties(named("disabled"), "", { tags: { state: "reserved" } })
      expect(await refusal(client.getSecret(named("disabled")))).toEqual(disabled)
      await client.updateSecretProperties(named("disabled"), "", { enabled: true })
      const read = await client.getSecret(named("disabled"))
      expect([read.value, read.properties.tags]).toEqual(["hidden", { state: "reserved" }])
    })

    test("an update replaces the tags as a whole, leaves the rest, and answers without the value", async () => {
      await client.setSecret(named("update"), "v", { contentType: "text/x", tags: { a: "1", b: "2" } })
      const expiresOn = new Date("2037-01-01")
      await client.updateSecretProperties(named("update"), "", { expiresOn })
      const updated = await client.updateSecretProperties(named("update"), "", { tags: { c: "3" } })
      expect(updated).toMatchObject({ expiresOn, contentType: "text/x", enabled: true })
      expect(updated.tags).toEqual({ c: "3" })
      expect(updated).not.toHaveProperty("value")
      expect((await client.getSecret(named("update"))).value).toBe("v")
    })

    test("a secret outside its dates is returned all the same", async () => {
      await client.setSecret(named("expired"), "late", { expiresOn: new Date("2001-01-01") })
      await client.setSecret(named("early"), "soon", { notBefore: new Date("2037-01-01") })
      expect((await client.getSecret(named("expired"))).value).toBe("late")
      expect((await client.getSecret(named("early"))).value).toBe("soon")
    })

    test("the limits of names, values and tags hold, and what touches them passes", async () => {
      const bad = { status: 400, code: "BadParameter" }
      const fits = "x".repeat(25 * 1024)
      expect((await client.setSecret(named("long"), fits)).value).toBe(fits)
      expect(await refusal(client.setSecret(named("longer"), `${fits}x`))).toMatchObject(bad)
      expect(await refusal(client.setSecret(named("under_score"), "v"))).toMatchObject({ status: 400 })
      await client.setSecret(named("tags"), "v", { tags: tagsOf(15) })
      expect(await refusal(client.setSecret(named("tags"), "v", { tags: tagsOf(16) }))).toMatchObject(bad)
      const long = (length: number) =>
        client.updateSecretProperties(named("tags"), "", { tags: { long: "l".repeat(length) } })
      expect((await long(256)).tags).toEqual({ long: "l".repeat(256) })
      expect(await refusal(long(257))).toMatchObject(bad)
    })

    test("a list holds every secret once, disabled ones too, with its tags and without its value", async () => {
      const wanted = Array.from({ length: 30 }, (_, index) => named(`listed-${index}`)).toSorted()
      for (const name of wanted)
        await client.setSecret(name, "not-for-a-list", { tags: { name }, enabled: name !== wanted[7] })
      const found = (await listed()).filter(({ tags }) => tags?.["name"] !== undefined)
      expect(found.map(({ name }) => name).toSorted()).toEqual(wanted)
      expect(found.every(({ name, tags }) => tags?.["name"] === name)).toBe(true)
      expect(found.filter(({ enabled }) => enabled === false).map(({ name }) => name)).toEqual([wanted[7]])
      expect(JSON.stringify(found)).not.toContain("not-for-a-list")
    })

    test("a deleted secret is listed no more, its name stays taken, and it comes back with all its versions", async () => {
      await client.setSecret(named("back"), "1", { tags: { a: "1" } })
      await client.setSecret(named("back"), "2", { tags: { a: "2" } })
      await remove("back")
      expect((await client.getDeletedSecret(named("back"))).scheduledPurgeDate).toBeInstanceOf(Date)
      expect((await listed()).map(({ name }) => name)).not.toContain(named("back"))
      expect(await refusal(client.getSecret(named("back")))).toMatchObject({ status: 404 })
      expect(await refusal(client.setSecret(named("back"), "3"))).toEqual({
        status: 409,
        code: "Conflict",
        inner: "ObjectIsDeletedButRecoverable",
      })
      await recover("back")
      const read = await client.getSecret(named("back"))
      expect([read.value, read.properties.tags]).toEqual(["2", { a: "2" }])
      expect(await all(client.listPropertiesOfSecretVersions(named("back")))).toHaveLength(2)
    })

    test("a purge makes the name free, or purge protection refuses it with 403 and the secret comes back", async () => {
      const { properties } = await client.setSecret(named("purged"), "v")
      await remove("purged")
      if (properties.recoveryLevel?.includes("Purgeable")) {
        await client.purgeDeletedSecret(named("purged"))
        await expect
          .poll(
            () =>
              client.setSecret(named("purged"), "new").then(
                ({ name }) => name,
                () => "",
              ),
            {
              timeout: 120_000,
              interval: place.polling.intervalInMs,
            },
          )
          .toBe(named("purged"))
        expect(await all(client.listPropertiesOfSecretVersions(named("purged")))).toHaveLength(1)
      } else {
        expect(await refusal(client.purgeDeletedSecret(named("purged")))).toMatchObject({
          status: 403,
          code: "Forbidden",
        })
        await recover("purged")
        expect((await client.getSecret(named("purged"))).value).toBe("v")
      }
    })
  })
}
