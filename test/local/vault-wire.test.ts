import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { askToken, raw, testVault } from "./vault-client.ts"

describe("the wire", () => {
  let vault: Awaited<ReturnType<typeof testVault>>
  let token: string
  beforeAll(async () => {
    vault = await testVault()
    token = (await askToken(vault.server, vault.server.identity.clients.reconciler)).access_token
  })
  afterAll(() => vault[Symbol.asyncDispose]())

  async function send(method: string, path: string, body?: unknown): Promise<[number, string, string?]> {
    const answer = await raw(vault.server, method, path, { token, body })
    if (answer.text === "") return [answer.status, ""]
    const { error } = JSON.parse(answer.text) as { error?: { code: string; innererror?: { code: string } } }
    return error?.innererror === undefined
      ? [answer.status, error?.code ?? ""]
      : [answer.status, error.code, error.innererror.code]
  }

  test("the api-version may be percent-encoded in its name, and must be a known one", async () => {
    expect(await send("GET", "/secrets?api%2Dversion=2026-04-01")).toEqual([200, ""])
    expect(await send("GET", "/secrets?api-version=7.4")).toEqual([200, ""])
    expect(await send("GET", "/secrets")).toEqual([400, "BadParameter"])
    expect(await send("GET", "/secrets?api-version=1999-01-01")).toEqual([400, "BadParameter"])
  })

  test("the newest version is read with a trailing slash and without", async () => {
    expect(await send("PUT", "/secrets/slash?api-version=7.6", { value: "v" })).toEqual([200, ""])
    expect(await send("GET", "/secrets/slash/?api-version=7.6")).toEqual([200, ""])
    expect(await send("GET", "/secrets/slash?api-version=7.6")).toEqual([200, ""])
    expect(await send("PATCH", "/secrets/slash/?api-version=7.6", { tags: {} })).toEqual([200, ""])
  })

  test.each([
    ["GET", "/keys?api-version=7.6"],
    ["GET", "/"],
    ["POST", "/secrets/a/rotate?api-version=7.6"],
    ["PUT", "/secrets/a/versions/b?api-version=7.6"],
    ["GET", "/secrets//v?api-version=7.6"],
    ["PUT", "/deletedsecrets/a?api-version=7.6"],
    ["POST", "/secrets?api-version=7.6"],
  ])("%s %s is not the secrets data plane: 501, with a word about it", async (method, path) => {
    const answer = await raw(vault.server, method, path, { token })
    expect(answer.status).toBe(501)
    expect(answer.text).toContain("local vault")
  })

  test("an empty name is 405, as on the service", async () => {
    expect(await send("PUT", "/secrets/?api-version=7.6", { value: "v" })).toEqual([405, "MethodNotAllowed"])
  })

  test.each([
    ["no body", undefined],
    ["no value", {}],
    ["a value that is no text", { value: 1 }],
    ["an attribute of the wrong kind", { value: "v", attributes: { enabled: "yes" } }],
    ["a tag that is no text", { value: "v", tags: { a: 1 } }],
  ])("a set with %s is refused", async (_, body) => {
    expect(await send("PUT", "/secrets/bad?api-version=7.6", body)).toEqual([400, "BadParameter"])
  })

  test("names that would leave their path are refused", async () => {
    const statuses: number[] = []
    for (const name of ["a%2Fb", "a%00b", "%", "%2e%2e"]) {
      statuses.push((await send("GET", `/secrets/${name}/?api-version=7.6`))[0])
    }
    expect(statuses).toEqual([400, 400, 400, 501])
  })

  test("an inner code says more where the service says more", async () => {
    await send("PUT", "/secrets/off?api-version=7.6", { value: "v", attributes: { enabled: false } })
    const disabled = [403, "Forbidden", "SecretDisabled"]
    expect(await send("GET", "/secrets/off/?api-version=7.6")).toEqual(disabled)
  })

  test("every answer carries a request id, and the client's own comes back", async () => {
    const answer = await raw(vault.server, "GET", "/secrets?api-version=7.6", { token })
    expect(answer.headers["x-ms-request-id"]).toMatch(/^[0-9a-f-]{36}$/)
  })

  test("the calls are on record, and a reset forgets them", async () => {
    vault.server.resetCalls()
    await send("GET", "/secrets?api-version=7.6")
    await raw(vault.server, "DELETE", "/secrets/none?api-version=7.6", { token })
    await raw(vault.server, "GET", "/secrets?api-version=7.6")
    expect(vault.server.calls()).toEqual([
      { method: "GET", route: "SecretList", status: 200 },
      { method: "DELETE", route: "SecretDelete", status: 404 },
      { method: "GET", route: "Unauthorized", status: 401 },
    ])
  })
})

test("options out of range are refused before anything starts", async () => {
  await expect(testVault({ softDeleteDays: 6 })).rejects.toThrow(/softDeleteDays/)
  await expect(testVault({ softDeleteDays: 91 })).rejects.toThrow(/softDeleteDays/)
})
