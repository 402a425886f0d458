import { execFile, spawnSync } from "node:child_process"
import { join } from "node:path"
import { promisify } from "node:util"
import { describe, expect, test } from "vitest"
import { all, askToken, clientOf, polling, raw, refusal, testVault } from "./vault-client.ts"

const run = promisify(execFile)
const hasCurl = spawnSync("curl", ["--version"]).status === 0
const probe = join(import.meta.dirname, "vault-probe.ts")
const byRbac = { status: 403, code: "Forbidden", inner: "ForbiddenByRbac" }

function parsed(text: string) {
  return JSON.parse(text) as { error: { code: string; message: string; innererror?: { code: string } } }
}

describe("with nothing but its environment, a process of its own", () => {
  test.each(["managed", "default"])(
    "reaches the vault by the %s identity credential, as Officer and as User",
    async (kind) => {
      await using vault = await testVault()
      await clientOf(vault.server).setSecret("probe", "seen")
      const outcomes = await Promise.all(
        (["reconciler", "api"] as const).map(async (who) => {
          const env = { PATH: process.env["PATH"], ...vault.server.environment(who) }
          const { stdout } = await run(process.execPath, [probe, kind], { env })
          return JSON.parse(stdout) as unknown
        }),
      )
      expect(outcomes).toEqual([
        { set: "by probe", get: "seen" },
        { set: "403 ForbiddenByRbac", get: "seen" },
      ])
    },
  )

  // Skipped only where there is no curl.
  test.skipIf(!hasCurl)("curl gets a token and uses it", async () => {
    await using vault = await testVault()
    await clientOf(vault.server).setSecret("curled", "seen")
    const { identity, url, caFile } = vault.server
    const query = `api-version=2019-08-01&resource=https://vault.azure.net&client_id=${identity.clients.api}`
    const token = await run("curl", [
      "-sS",
      "-H",
      `X-IDENTITY-HEADER: ${identity.header}`,
      `${identity.endpoint}?${query}`,
    ])
    const bearer = `Authorization: Bearer ${(JSON.parse(token.stdout) as { access_token: string }).access_token}`
    const secret = await run("curl", [
      "-sS",
      "--cacert",
      caFile,
      "-H",
      bearer,
      `${url}/secrets/curled/?api-version=7.6`,
    ])
    expect(JSON.parse(secret.stdout)).toMatchObject({ value: "seen" })
    await expect(run("curl", ["-sS", `${url}/secrets`])).rejects.toThrow(/certificate/)
  })
})

describe("roles", () => {
  test("a Secrets User reads values and metadata, and changes nothing", async () => {
    await using vault = await testVault()
    const [officer, user] = [clientOf(vault.server), clientOf(vault.server, "api")]
    await officer.setSecret("shared", "v")
    const backup = (await officer.backupSecret("shared")) ?? new Uint8Array()
    expect((await user.getSecret("shared")).value).toBe("v")
    expect(await all(user.listPropertiesOfSecrets())).toHaveLength(1)
    expect(await all(user.listPropertiesOfSecretVersions("shared"))).toHaveLength(1)
    const changes = [
      () => user.setSecret("shared", "w"),
      () => user.updateSecretProperties("shared", "", { enabled: false }),
      () => user.beginDeleteSecret("shared", polling),
      () => user.backupSecret("shared"),
      () => user.restoreSecretBackup(backup),
      () => user.purgeDeletedSecret("shared"),
    ]
    for (const change of changes) {
      expect(await refusal(change())).toEqual(byRbac)
    }
    await (await officer.beginDeleteSecret("shared", polling)).pollUntilDone()
    expect(await refusal(user.beginRecoverDeletedSecret("shared", polling))).toEqual(byRbac)
    await (await officer.beginRecoverDeletedSecret("shared", polling)).pollUntilDone()
    expect((await user.getSecret("shared")).value).toBe("v")
  })

  test("a further client has the role it was given", async () => {
    const operator = "0f2c9f0e-6d0e-4c2c-9d3b-6f6f5f0f7a11"
    await using vault = await testVault({ clients: { [operator]: "Key Vault Secrets Officer" } })
    const { access_token: token } = await askToken(vault.server, operator)
    const answer = await raw(vault.server, "PUT", "/secrets/a?api-version=7.6", {
      token,
      body: { value: "v" },
    })
    expect(answer.status).toBe(200)
  })
})

describe("tokens", () => {
  const list = "/secrets?api-version=7.6"

  test("a call without a token is challenged, with a JSON body", async () => {
    await using vault = await testVault()
    const answer = await raw(vault.server, "GET", list)
    expect(answer.status).toBe(401)
    expect(answer.headers["www-authenticate"]).toMatch(
      /^Bearer authorization="https:\/\/login\.microsoftonline\.com\/[0-9a-f-]{36}", resource="https:\/\/vault\.azure\.net"$/,
    )
    expect(parsed(answer.text).error.code).toBe("Unauthorized")
  })

  test("a forged, a foreign and a damaged token are challenged again", async () => {
    await using vault = await testVault()
    await using other = await testVault()
    const { api } = vault.server.identity.clients
    const { access_token: good } = await askToken(vault.server, api)
    const { access_token: foreign } = await askToken(other.server, other.server.identity.clients.api)
    const { access_token: graph } = await askToken(vault.server, api, "https://graph.microsoft.com")
    const [head, body, sign] = good.split(".")
    const claims = JSON.parse(Buffer.from(body ?? "", "base64url").toString()) as object
    const raised = { ...claims, appid: vault.server.identity.clients.reconciler }
    const forged = `${head}.${Buffer.from(JSON.stringify(raised)).toString("base64url")}.${sign}`
    expect((await raw(vault.server, "GET", list, { token: good })).status).toBe(200)
    for (const token of [foreign, graph, forged, "nonsense", `${good}x`]) {
      const answer = await raw(vault.server, "GET", list, { token })
      expect([answer.status, "www-authenticate" in answer.headers]).toEqual([401, true])
    }
  })

  test("a token ends when it said it would", async () => {
    let time = Date.now()
    await using vault = await testVault({ now: () => time, tokenSeconds: 600 })
    const { access_token: token, expires_on } = await askToken(
      vault.server,
      vault.server.identity.clients.api,
    )
    expect(Number(expires_on)).toBe(Math.floor(time / 1000) + 600)
    time = Number(expires_on) * 1000 - 1
    expect((await raw(vault.server, "GET", list, { token })).status).toBe(200)
    time += 1
    expect((await raw(vault.server, "GET", list, { token })).status).toBe(401)
  })

  test("the identity endpoint wants its header, a known client, a resource and its version", async () => {
    await using vault = await testVault()
    const { endpoint, header, clients } = vault.server.identity
    const ask = async (query: Record<string, string>, given: string) => {
      const full = {
        "api-version": "2019-08-01",
        resource: "https://vault.azure.net",
        client_id: clients.api,
        ...query,
      }
      const response = await fetch(`${endpoint}?${new URLSearchParams(full).toString()}`, {
        headers: { "X-IDENTITY-HEADER": given },
      })
      return response.status
    }
    expect(await ask({}, header)).toBe(200)
    expect(await ask({}, "wrong")).toBe(401)
    expect(await ask({ client_id: "7e6f3f6c-1111-4222-8333-444455556666" }, header)).toBe(400)
    expect(await ask({ resource: "" }, header)).toBe(400)
    expect(await ask({ "api-version": "2017-09-01" }, header)).toBe(400)
  })
})
