import { spawn } from "node:child_process"
import { once } from "node:events"
import { X509Certificate } from "node:crypto"
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { startVault, type VaultServer } from "../../local/vault.ts"
import { openStore } from "../../local/vault/store.ts"
import { all, askToken, clientOf, polling, raw, refusal } from "./vault-client.ts"

let directory: string
beforeEach(() => {
  directory = join(mkdtempSync(join(tmpdir(), "vault-")), "made", "by", "the", "vault")
})
afterEach(() => rmSync(join(directory, "../../../.."), { recursive: true }))

const journal = () => join(directory, "secrets.journal")
const start = (more: { now?: () => number } = {}) =>
  startVault({ directory, recoverableDelayMs: 0, irregularPages: 0, ...more })

async function stateOf(server: VaultServer) {
  const client = clientOf(server)
  const active = await all(client.listPropertiesOfSecrets())
  const deleted = await all(client.listDeletedSecrets())
  const strip = (text: string) => text.replaceAll(server.url, "https://vault")
  return JSON.parse(strip(JSON.stringify({ active, deleted }))) as unknown
}

describe("after a restart", () => {
  test("everything is as it was, under the present port", async () => {
    const first = await start()
    const client = clientOf(first)
    await client.setSecret("kept", "1", {
      tags: { a: "1" },
      contentType: "text/x",
      expiresOn: new Date("2037-01-01"),
    })
    await client.setSecret("kept", "2")
    await client.updateSecretProperties("kept", "", { tags: { a: "3" } })
    for (const name of ["deleted", "recovered"]) {
      await client.setSecret(name, "v")
      await (await client.beginDeleteSecret(name, polling)).pollUntilDone()
    }
    await (await client.beginRecoverDeletedSecret("recovered", polling)).pollUntilDone()
    const before = await stateOf(first)
    const versions = await all(client.listPropertiesOfSecretVersions("kept"))
    await first.close()

    const second = await start()
    expect(await stateOf(second)).toEqual(before)
    const again = clientOf(second)
    expect(await again.getSecret("kept")).toMatchObject({ value: "2", properties: { tags: { a: "3" } } })
    expect((await again.getSecret("kept")).properties.id).toContain(`${second.url}/secrets/kept/`)
    const kept = await all(again.listPropertiesOfSecretVersions("kept"))
    expect(kept.map(({ version }) => version)).toEqual(versions.map(({ version }) => version))
    expect(await refusal(again.setSecret("deleted", "w"))).toMatchObject({ status: 409 })
    await second.close()
  })

  test("a token from before is still good, and so are ids, header and certificate", async () => {
    const first = await start()
    const { access_token: token } = await askToken(first, first.identity.clients.api)
    await first.close()
    const second = await start()
    expect((await raw(second, "GET", "/secrets?api-version=7.6", { token })).status).toBe(200)
    expect(second.identity).toMatchObject({ clients: first.identity.clients, header: first.identity.header })
    await second.close()
  })

  test("only its owner reads what it keeps", async () => {
    const server = await start()
    await server.close()
    const modes = ["", "secrets.journal", "identity.json", "certificate.key"].map(
      (file) => statSync(join(directory, file)).mode & 0o777,
    )
    expect(modes).toEqual([0o700, 0o600, 0o600, 0o600])
  })

  test("the certificate stays until 30 days before its end, and is then made anew", async () => {
    let time = Date.now()
    const certificateAt = async (days: number) => {
      time = Date.now() + days * 24 * 60 * 60 * 1000
      const server = await start({ now: () => time })
      await server.close()
      return new X509Certificate(readFileSync(server.caFile))
    }
    const made = await certificateAt(0)
    expect(made.subjectAltName).toBe("DNS:localhost, IP Address:127.0.0.1")
    expect((await certificateAt(300)).fingerprint256).toBe(made.fingerprint256)
    const renewed = await certificateAt(340)
    expect(renewed.fingerprint256).not.toBe(made.fingerprint256)
    expect(Date.parse(renewed.validTo)).toBeGreaterThan(time + 300 * 24 * 60 * 60 * 1000)
  })

  test("a certificate and a key that do not fit are made anew", async () => {
    const first = await start()
    const key = readFileSync(join(directory, "certificate.key"))
    await first.close()
    rmSync(join(directory, "certificate.key"))
    await (await start()).close()
    writeFileSync(join(directory, "certificate.key"), key)
    const server = await start()
    expect((await raw(server, "GET", "/secrets")).status).toBe(401)
    await server.close()
  })
})

describe("the journal", () => {
  test.each([
    ["cut short", '{"kind":"version","name":"torn","version":{"id":"0123'],
    ["of zeros", `${"\0".repeat(100)}\n`],
  ])("a last line %s is left out, and what follows is kept", async (_, line) => {
    const first = await start()
    await clientOf(first).setSecret("whole", "v")
    await first.close()
    appendFileSync(journal(), line)
    const second = await start()
    expect((await all(clientOf(second).listPropertiesOfSecrets())).map(({ name }) => name)).toEqual(["whole"])
    await clientOf(second).setSecret("after", "v")
    await second.close()
    const third = await start()
    const names = (await all(clientOf(third).listPropertiesOfSecrets())).map(({ name }) => name)
    expect(names).toEqual(["after", "whole"])
    await third.close()
  })

  test("damage further up stops the start, with file and line", async () => {
    const first = await start()
    await clientOf(first).setSecret("a", "v")
    await first.close()
    const text = readFileSync(journal(), "utf8")
    writeFileSync(journal(), `{"kind":\n${text}`)
    await expect(start()).rejects.toThrow(`${journal()}:1 `)
    expect(readFileSync(journal(), "utf8")).toContain('"name":"a"')
  })

  test("it grows by what was written, and shrinks to the present state at a start", async () => {
    const server = await start()
    const client = clientOf(server)
    await Promise.all(Array.from({ length: 50 }, (_, i) => client.setSecret(`s-${i}`, "x".repeat(1000))))
    const full = statSync(journal()).size
    await client.updateSecretProperties("s-0", "", { tags: { a: "1" } })
    expect(statSync(journal()).size - full).toBeLessThan(full / 25)
    await Promise.all(
      Array.from({ length: 50 }, () => client.updateSecretProperties("s-0", "", { tags: {} })),
    )
    await server.close()
    expect(readFileSync(journal(), "utf8").trim().split("\n").length).toBe(101)
    await (await start()).close()
    expect(readFileSync(journal(), "utf8").trim().split("\n").length).toBe(50)
  })

  test("in a vault that is never restarted it does not grow for ever", async () => {
    await (await start()).close()
    const store = openStore(journal())
    const version = { id: "0".repeat(32), value: "v", enabled: true, created: 1, updated: 1 }
    for (let updated = 1; updated <= 120_000; updated += 1) {
      store.commit({ kind: "version", name: "busy", version: { ...version, updated } })
    }
    await store.settled()
    await store.close()
    expect(readFileSync(journal(), "utf8").split("\n").length).toBeLessThan(60_000)
    const again = openStore(journal())
    expect(again.find("busy")?.versions).toEqual([{ ...version, updated: 120_000 }])
    await again.close()
  })

  test("no value is in any file but the journal", async () => {
    const server = await start()
    await clientOf(server).setSecret("hidden", "a-value-to-look-for")
    await server.close()
    const others = ["identity.json", "certificate.pem", "certificate.key"].map((file) =>
      readFileSync(join(directory, file), "utf8"),
    )
    expect(others.join("")).not.toContain("a-value-to-look-for")
    expect(readFileSync(journal(), "utf8")).toContain("a-value-to-look-for")
  })
})

describe("killed with -9 in the midst of writes", () => {
  type Host = Pick<VaultServer, "url" | "caFile" | "identity">

  async function host(): Promise<{ reach: Host; kill: () => Promise<void> }> {
    const child = spawn(process.execPath, [join(import.meta.dirname, "vault-host.ts"), directory], {
      stdio: ["pipe", "pipe", "inherit"],
    })
    const [line] = (await once(createInterface({ input: child.stdout }), "line")) as [string]
    return {
      reach: JSON.parse(line) as Host,
      async kill() {
        const exited = once(child, "exit")
        child.kill("SIGKILL")
        await exited
      },
    }
  }

  /** Six writers at once, each with rising values under seven names of its own; the vault dies at the 200th answer. */
  async function writeAndKill(round: number, acknowledged: Map<string, number>): Promise<void> {
    const { reach, kill } = await host()
    const client = clientOf(reach)
    const run = { answers: 0, killed: false }

    async function write(place: number): Promise<void> {
      for (let count = 1; !run.killed; count += 1) {
        const [name, value] = [`place-${place}-${count % 7}`, round * 1_000_000 + count]
        try {
          await client.setSecret(name, String(value))
        } catch (error) {
          if (run.killed) return
          throw error
        }
        acknowledged.set(name, value)
        run.answers += 1
        if (run.answers !== 200) continue
        run.killed = true
        await kill()
      }
    }
    await Promise.all([0, 1, 2, 3, 4, 5].map(write))
  }

  test("every write that was acknowledged is there, thrice over", async () => {
    const acknowledged = new Map<string, number>()
    for (const round of [1, 2, 3]) await writeAndKill(round, acknowledged)

    const server = await start()
    const client = clientOf(server)
    for (const [name, value] of acknowledged) {
      // The write under way at the kill may be there too, without an answer: then the value is a later one.
      expect(Number((await client.getSecret(name)).value)).toBeGreaterThanOrEqual(value)
    }
    expect(await all(client.listPropertiesOfSecrets())).toHaveLength(42)
    await server.close()
  })
})

describe("two vaults on one folder", () => {
  test("the second is refused while the first runs, and the first loses nothing", async () => {
    const first = await start()
    await expect(start()).rejects.toThrow("runs already on this folder")
    await clientOf(first).setSecret("a", "v")
    await first.close()
    const next = await start()
    expect((await clientOf(next).getSecret("a")).value).toBe("v")
    await next.close()
  })

  test("a port that is taken is an error, and the folder is free again", async () => {
    const first = await start()
    const other = join(directory, "other")
    await expect(startVault({ directory: other, port: first.port })).rejects.toThrow("EADDRINUSE")
    const second = await startVault({ directory: other })
    await Promise.all([first.close(), second.close(), second.close()])
  })
})
