import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, test } from "vitest"
import { startVault } from "../../local/vault.ts"
import { all, askToken, clientOf, polling, raw, testVault } from "./vault-client.ts"

function names(count: number, prefix = "tenant"): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}-${String(index).padStart(4, "0")}`)
}

async function filled(count: number, options: Parameters<typeof testVault>[0] = {}) {
  const vault = await testVault(options)
  const client = clientOf(vault.server)
  await Promise.all(names(count).map((name) => client.setSecret(name, "v", { tags: { name } })))
  return { vault, client }
}

test("a list holds every secret once, with its tags and without its value, disabled ones too", async () => {
  const { vault, client } = await filled(60)
  await using _ = vault
  await client.updateSecretProperties("tenant-0007", "", { enabled: false })
  const listed = await all(client.listPropertiesOfSecrets())
  expect(listed.map(({ name }) => name).sort()).toEqual(names(60))
  expect(listed.every(({ name, tags }) => tags?.["name"] === name)).toBe(true)
  expect(listed.find(({ name }) => name === "tenant-0007")?.enabled).toBe(false)
  expect(JSON.stringify(listed)).not.toContain('"value"')
})

test("regular pages hold 25 secrets each: the number of calls is the number of pages", async () => {
  const { vault, client } = await filled(51)
  await using _ = vault
  vault.server.resetCalls()
  await all(client.listPropertiesOfSecrets())
  expect(vault.server.calls().filter(({ route }) => route === "SecretList")).toHaveLength(3)
})

test.each([1, 2, 3, 7])(
  "with every page number %i short or empty, a list is still complete",
  async (irregularPages) => {
    const { vault, client } = await filled(130, { irregularPages })
    await using _ = vault
    const pages = await all(client.listPropertiesOfSecrets().byPage({ maxPageSize: 10 }))
    expect(pages.flat().map(({ name }) => name)).toEqual(names(130))
    const [empty, short] = [
      pages.slice(0, -1).some((p) => p.length === 0),
      pages.slice(0, -1).some((p) => p.length === 5),
    ]
    expect({ empty, short }).toEqual({ empty: true, short: true })
  },
)

test("irregular pages come by default", async () => {
  const directory = mkdtempSync(join(tmpdir(), "vault-"))
  const server = await startVault({ directory })
  const client = clientOf(server)
  await Promise.all(names(40).map((name) => client.setSecret(name, "v")))
  const pages = await all(client.listPropertiesOfSecrets().byPage({ maxPageSize: 2 }))
  expect(new Set(pages.map((page) => page.length))).toEqual(new Set([0, 1, 2]))
  expect(pages.flat()).toHaveLength(40)
  await server.close()
  rmSync(directory, { recursive: true })
})

test("secrets that come and go while a list is read neither hide nor repeat another", async () => {
  const { vault, client } = await filled(60, { irregularPages: 3 })
  await using _ = vault
  const seen: string[] = []
  let round = 0
  for await (const page of client.listPropertiesOfSecrets().byPage({ maxPageSize: 5 })) {
    seen.push(...page.map(({ name }) => name))
    await client.setSecret(`aaa-${round}`, "before every page still to come")
    await client.setSecret(`tenant-0030-${round}`, "in the middle")
    round += 1
  }
  expect(seen.filter((name) => /^tenant-\d{4}$/.test(name))).toEqual(names(60))
  expect(new Set(seen).size).toBe(seen.length)
})

test("versions and deleted secrets are paged in the same way", async () => {
  await using vault = await testVault({ irregularPages: 2 })
  const client = clientOf(vault.server)
  const versions: string[] = []
  for (const name of names(12)) {
    versions.push((await client.setSecret("versioned", name)).properties.version ?? "")
    await client.setSecret(name, "v")
    await (await client.beginDeleteSecret(name, polling)).pollUntilDone()
  }
  const pages = await all(client.listPropertiesOfSecretVersions("versioned").byPage({ maxPageSize: 1 }))
  expect(Math.max(...pages.map((page) => page.length))).toBe(1)
  expect(new Set(pages.flat().map(({ version }) => version))).toEqual(new Set(versions))
  expect(pages.flat()).toHaveLength(versions.length)
  const deleted = await all(client.listDeletedSecrets().byPage({ maxPageSize: 5 }))
  expect(deleted.flat().map(({ name }) => name)).toEqual(names(12))
})

test("an unknown name has no versions, and that is no error", async () => {
  await using vault = await testVault()
  expect(await all(clientOf(vault.server).listPropertiesOfSecretVersions("nobody"))).toEqual([])
})

test("a nextLink has exactly the vault's origin, and the last page has none", async () => {
  const { vault } = await filled(3)
  await using _ = vault
  const { access_token: token } = await askToken(vault.server, vault.server.identity.clients.api)
  const first = JSON.parse(
    (await raw(vault.server, "GET", "/secrets?api-version=7.6&maxresults=2", { token })).text,
  )
  expect(new URL(first.nextLink).origin).toBe(vault.server.url)
  const last = JSON.parse((await raw(vault.server, "GET", first.nextLink, { token })).text)
  expect([first.value.length, last.value.length, last.nextLink]).toEqual([2, 1, null])
})

test.each(["0", "26", "ten"])("maxresults=%s is refused", async (size) => {
  await using vault = await testVault()
  const { access_token: token } = await askToken(vault.server, vault.server.identity.clients.api)
  const answer = await raw(vault.server, "GET", `/secrets?api-version=7.6&maxresults=${size}`, { token })
  expect([answer.status, JSON.parse(answer.text).error.code]).toEqual([400, "BadParameter"])
})
