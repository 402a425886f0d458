import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { parseFault, type Fault } from "../../local/vault/faults.ts"
import { all, askToken, clientOf, raw, refusal, testVault } from "./vault-client.ts"

const list = "/secrets?api-version=7.6"
const read = "/secrets/a/?api-version=7.6"

describe("a fault", () => {
  let time: number
  let vault: Awaited<ReturnType<typeof testVault>>
  let client: ReturnType<typeof clientOf>
  let token: string
  beforeEach(async () => {
    time = Date.now()
    vault = await testVault({ now: () => time, irregularPages: 0 })
    client = clientOf(vault.server)
    token = (await askToken(vault.server, vault.server.identity.clients.reconciler)).access_token
    await client.setSecret("a", "1")
  })
  afterEach(() => vault[Symbol.asyncDispose]())

  const add = (fault: Fault) => vault.server.faults.add(fault)
  const send = (method: string, path: string, body?: unknown) =>
    raw(vault.server, method, path, { token, body })
  const put = (name: string, value: string) => send("PUT", `/secrets/${name}?api-version=7.6`, { value })
  const value = async (name = "a") => (await client.getSecret(name)).value
  const untilStruck = () => expect.poll(() => vault.server.faults.list(), { timeout: 10_000 }).toEqual([])
  /** Sets "a" to "2", and goes away once a fault has struck. */
  const writeAndGiveUp = async () => {
    const patience = new AbortController()
    const late = expect(client.setSecret("a", "2", { abortSignal: patience.signal })).rejects.toThrow(
      /aborted/,
    )
    await untilStruck()
    patience.abort()
    await late
  }

  test("throttled: 429 without Retry-After, as on the service, or with", async () => {
    add({ kind: "throttled" })
    add({ kind: "throttled", retryAfterSeconds: 3 })
    const [bare, told, free] = [await put("a", "2"), await put("a", "3"), await put("a", "4")]
    expect([bare.status, "retry-after" in bare.headers]).toEqual([429, false])
    expect(JSON.parse(bare.text)).toMatchObject({ error: { code: "Throttled" } })
    expect([told.status, told.headers["retry-after"]]).toEqual([429, "3"])
    expect(free.status).toBe(200)
    expect(await all(client.listPropertiesOfSecretVersions("a"))).toHaveLength(2)
  })

  test("unavailable, server-error and html: nothing is done", async () => {
    add({ kind: "unavailable", retryAfterSeconds: 1 })
    add({ kind: "server-error" })
    add({ kind: "html", status: 502 })
    const answers = [await put("a", "2"), await put("a", "3"), await put("a", "4")]
    expect(answers.map(({ status }) => status)).toEqual([503, 500, 502])
    expect(answers[2]?.text).toMatch(/^<html>/)
    expect(answers[2]?.headers["content-type"]).toBe("text/html")
    expect(await value()).toBe("1")
  })

  test("delay: whoever gives up finds the write done all the same", async () => {
    add({ kind: "delay", milliseconds: 1000 })
    await writeAndGiveUp()
    await expect.poll(() => value(), { timeout: 10_000 }).toBe("2")
  })

  test("held: whoever waits, or gave up, finds the write done once the faults are off, and not before", async () => {
    add({ kind: "held", match: { route: "SecretSet" } })
    await writeAndGiveUp()
    add({ kind: "held", match: { name: "b" } })
    const waiting = put("b", "1")
    await untilStruck()
    expect(await value()).toBe("1")
    vault.server.faults.clear()
    expect((await waiting).status).toBe(200)
    await expect.poll(() => value(), { timeout: 10_000 }).toBe("2")
  })

  test("a delay does not hold up the end of the server", async () => {
    add({ kind: "delay", milliseconds: 600_000 })
    const pending = send("GET", list)
    await untilStruck()
    const broken = expect(pending).rejects.toThrow()
    const other = await testVault()
    await vault[Symbol.asyncDispose]()
    await broken
    vault = other
  })

  test("dropped: no answer, and nothing is done", async () => {
    add({ kind: "dropped" })
    await expect(put("a", "2")).rejects.toThrow(/hang up|ECONNRESET/)
    expect(await value()).toBe("1")
  })

  test("lost-response: no answer, and it is done", async () => {
    add({ kind: "lost-response" })
    await expect(put("a", "2")).rejects.toThrow(/hang up|ECONNRESET/)
    expect(await value()).toBe("2")
  })

  test("truncated-json: the right status, half a body, and it is done", async () => {
    add({ kind: "truncated-json" })
    const answer = await put("a", "2")
    expect(answer.status).toBe(200)
    expect(() => JSON.parse(answer.text) as unknown).toThrow(SyntaxError)
    expect(await value()).toBe("2")
  })

  test("forbidden: the role is missing for a while, and then it is there", async () => {
    add({ kind: "forbidden", times: 2 })
    const byRbac = { status: 403, code: "Forbidden", inner: "ForbiddenByRbac" }
    expect(await refusal(client.setSecret("a", "2"))).toEqual(byRbac)
    expect(await refusal(client.getSecret("a"))).toEqual(byRbac)
    expect(await value()).toBe("1")
  })

  test("revoked: 401 with a challenge; the client asks twice before it gives up", async () => {
    add({ kind: "revoked", times: 2 })
    expect(await refusal(client.getSecret("a"))).toMatchObject({ status: 401 })
    expect(await value()).toBe("1")
    add({ kind: "revoked" })
    expect(await value()).toBe("1")
  })

  test("stale-list: the list shows what was there when the fault was added", async () => {
    add({ kind: "stale-list", times: "always" })
    await client.setSecret("b", "1")
    await client.updateSecretProperties("a", "", { tags: { new: "yes" } })
    const stale = await all(client.listPropertiesOfSecrets())
    expect(stale.map(({ name, tags }) => [name, tags])).toEqual([["a", undefined]])
    expect(await value("b")).toBe("1")
    vault.server.faults.clear()
    const fresh = await all(client.listPropertiesOfSecrets())
    expect(fresh.map(({ name, tags }) => [name, tags])).toEqual([
      ["a", { new: "yes" }],
      ["b", undefined],
    ])
  })

  test("truncated-list: a page loses the way to the next one, and nobody is told", async () => {
    for (const name of ["b", "c", "d", "e"]) await client.setSecret(name, "1")
    add({ kind: "truncated-list", after: 1 })
    const pages = await all(client.listPropertiesOfSecrets().byPage({ maxPageSize: 2 }))
    expect(pages.flat().map(({ name }) => name)).toEqual(["a", "b", "c", "d"])
    expect(await all(client.listPropertiesOfSecrets())).toHaveLength(5)
  })

  test("empty-page and short-page: less than was asked for, and a nextLink", async () => {
    for (const name of ["b", "c", "d"]) await client.setSecret(name, "1")
    add({ kind: "empty-page", times: 2 })
    add({ kind: "short-page" })
    const pages = await all(client.listPropertiesOfSecrets().byPage({ maxPageSize: 4 }))
    expect(pages.map((page) => page.map(({ name }) => name))).toEqual([[], [], ["a", "b"], ["c", "d"]])
  })

  test("limits: what is beyond them is 429 until the window is over", async () => {
    add({ kind: "limits", sets: 2, others: 3, windowMs: 10_000 })
    const sets = [await put("x", "1"), await put("y", "1"), await put("z", "1")]
    expect(sets.map(({ status }) => status)).toEqual([200, 200, 429])
    const others = [
      await send("GET", list),
      await send("GET", read),
      await send("GET", list),
      await send("GET", list),
    ]
    expect(others.map(({ status }) => status)).toEqual([200, 200, 200, 429])
    expect("retry-after" in (others[3]?.headers ?? {})).toBe(false)
    time += 10_000
    expect((await put("z", "1")).status).toBe(200)
  })

  test("limits are the service's own by default: 300 sets in 10 s", async () => {
    add({ kind: "limits" })
    const statuses = await Promise.all(
      Array.from({ length: 320 }, async (_, i) => (await put(`n${i}`, "v")).status),
    )
    expect(statuses.filter((status) => status === 429)).toHaveLength(20)
  })

  test("identity-down: no token comes, and calls with an older token go on", async () => {
    const { api } = vault.server.identity.clients
    add({ kind: "identity-down", times: 2 })
    await expect(askToken(vault.server, api)).rejects.toThrow("fetch failed")
    expect((await send("GET", list)).status).toBe(200)
    await expect(askToken(vault.server, api)).rejects.toThrow("fetch failed")
    expect((await askToken(vault.server, api)).access_token).not.toBe("")
  })

  test("the identity endpoint is met only by a fault that names it", async () => {
    const { api } = vault.server.identity.clients
    add({ kind: "unavailable", match: { route: "IdentityToken" } })
    add({ kind: "dropped" })
    await expect(askToken(vault.server, api)).rejects.toThrow(/503/)
    await askToken(vault.server, api)
    await expect(send("GET", list)).rejects.toThrow(/hang up|ECONNRESET/)
  })

  test("after, times and match choose the calls", async () => {
    add({ kind: "server-error", match: { method: "GET", route: "SecretGet", name: "A" }, after: 1, times: 2 })
    await client.setSecret("b", "1")
    const paths = [read, list, "/secrets/b/?api-version=7.6", read, read, read]
    const statuses: number[] = []
    for (const path of paths) statuses.push((await send("GET", path)).status)
    expect(statuses).toEqual([200, 200, 200, 500, 500, 200])
    expect(vault.server.faults.list()).toEqual([])
  })

  test("a fault for one client leaves the other alone", async () => {
    const { api } = vault.server.identity.clients
    add({ kind: "forbidden", match: { clientId: api }, times: "always" })
    expect((await send("GET", read)).status).toBe(200)
    expect(await refusal(clientOf(vault.server, "api").getSecret("a"))).toMatchObject({ status: 403 })
  })

  test("a call without a token meets no fault", async () => {
    add({ kind: "server-error" })
    expect((await raw(vault.server, "GET", list)).status).toBe(401)
    expect((await send("GET", list)).status).toBe(500)
  })

  test("the Officer switches faults over HTTP, and nobody else does", async () => {
    const fault = { kind: "throttled", times: "always", match: { route: "SecretGet" } }
    const added = await send("POST", "/_faults", fault)
    expect(added.status).toBe(201)
    const { id } = JSON.parse(added.text) as { id: number }
    expect((await send("GET", read)).status).toBe(429)
    expect(JSON.parse((await send("GET", "/_faults")).text)).toEqual({ value: [{ id, fault, hits: 1 }] })
    expect((await send("DELETE", `/_faults/${id}`)).status).toBe(204)
    expect((await send("GET", read)).status).toBe(200)

    await send("POST", "/_faults", fault)
    await send("POST", "/_faults", fault)
    expect((await send("DELETE", "/_faults")).status).toBe(204)
    expect(vault.server.faults.list()).toEqual([])

    const { access_token: user } = await askToken(vault.server, vault.server.identity.clients.api)
    expect((await raw(vault.server, "POST", "/_faults", { token: user, body: fault })).status).toBe(403)
    expect((await raw(vault.server, "GET", "/_faults")).status).toBe(401)
    expect((await send("POST", "/_faults", { kind: "thunder" })).status).toBe(400)
    expect((await send("PUT", "/_faults", fault)).status).toBe(501)
  })
})

test.each([
  ["an unknown kind", { kind: "thunder" }, "kind"],
  ["an unknown key", { kind: "dropped", often: true }, "often"],
  ["a count of nothing", { kind: "dropped", times: 0 }, "times"],
  ["an unknown route", { kind: "dropped", match: { route: "SecretShout" } }, "route"],
  ["no delay", { kind: "delay" }, "milliseconds"],
  ["no object", "dropped", "expected object"],
])("%s is no fault, and the message names it", (_, fault, word) => {
  expect(() => parseFault(fault)).toThrow(word)
})
