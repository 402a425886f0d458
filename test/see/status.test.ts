/** What the status port answers, and whom. */
import { readdirSync, statSync } from "node:fs"
import path from "node:path"
import { afterAll, beforeAll, expect, test } from "vitest"
import { type Issuer, startIssuer } from "../../local/issuer.ts"
import type { Authority } from "../../reconciler/environment.ts"
import { keepSecret } from "../../reconciler/log.ts"
import { watchReadiness } from "../../reconciler/readiness.ts"
import { environmentToken, openAccess } from "../../reconciler/status-access.ts"
import { eventually } from "../eventually.ts"
import { tokenSettings } from "../token-settings.ts"
import { findChromium, openBrowser } from "./browser.ts"
import { API_KEY, idOf, nameOf, reviewOf, serveMadeUp } from "./made-up.ts"

const PAGE = path.resolve(import.meta.dirname, "../../reconciler/page")
const DATA = ["/status.json", "/events.json", "/metrics", "/stream", `/tenants/${idOf(0)}.json`]

let issuer: Issuer
let authority: Authority
let closed: Awaited<ReturnType<typeof serveMadeUp>>
let open: Awaited<ReturnType<typeof serveMadeUp>>

beforeAll(async () => {
  issuer = await startIssuer()
  authority = { kind: "issuer", settings: tokenSettings(issuer) }
  closed = await serveMadeUp(authority)
  open = await serveMadeUp()
  for (const fleet of [closed, open]) fleet.pass(reviewOf(3))
})
afterAll(async () => {
  closed.close()
  open.close()
  await issuer.close()
})

const administrator = () => issuer.mint({ sub: "ada", scope: "tenants:admin" })
const ask = (target: string, headers: Record<string, string> = {}, init: RequestInit = {}) =>
  fetch(closed.url + target, { ...init, headers, signal: AbortSignal.timeout(10_000) })
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

test("without an administrator's token nothing of the fleet is told", async () => {
  for (const target of DATA) {
    expect((await ask(target)).status, target).toBe(401)
    expect((await ask(target, bearer("a.b.c"))).status, target).toBe(401)
    expect((await ask(target, bearer(issuer.mint({ sub: "bob", tenants: [idOf(0)] })))).status).toBe(403)
    expect((await ask(target, bearer(issuer.mint({ sub: "ada", scope: "tenants:admin" }, -60)))).status).toBe(
      401,
    )
    const answer = await ask(target, bearer(administrator()))
    expect(answer.status, target).toBe(200)
    await answer.body?.cancel()
  }
  for (const target of ["/", "/plan", `/tenants/${idOf(0)}`, "/livez", "/readyz"]) {
    const answer = await ask(target)
    expect(answer.status, target).toBe(200)
    const text = await answer.text()
    expect(text).not.toContain(nameOf(0))
    expect(text).not.toContain(idOf(0).slice(0, 12))
  }
})

/** As Node would give it. */
const request = (authorization?: string) =>
  ({
    headers: {},
    headersDistinct: authorization ? { authorization: [authorization] } : {},
    socket: { localPort: 1 },
  }) as never

test("where no issuer is named nobody is let in, but for who has the reconciler's environment", async () => {
  const locked = openAccess(undefined, API_KEY, Date.now)
  expect(await locked.refuse(request())).toMatchObject({ status: 503 })
  expect(await locked.refuse(request(`Bearer ${administrator()}`))).toMatchObject({ status: 503 })
  expect(await locked.refuse(request(`Bearer ${environmentToken(API_KEY)}`))).toBeUndefined()
  expect(await locked.refuse(request(`Bearer ${environmentToken("another key")}`))).toMatchObject({
    status: 503,
  })
})

test("a token opens a session, a cookie that no script reads and no other site sends; signing out ends it", async () => {
  expect((await ask("/session", {}, { method: "POST" })).status).toBe(401)
  const opened = await ask("/session", bearer(administrator()), { method: "POST" })
  expect(opened.status).toBe(204)
  const cookie = opened.headers.get("set-cookie")!
  expect(cookie).toMatch(/^tenantry-\d+=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=3[56]\d\d$/)
  const pair = cookie.split(";")[0]!
  expect((await ask("/status.json", { cookie: `theme=dark; ${pair}` })).status).toBe(200)
  expect((await ask("/status.json", { cookie: pair.replace(/.$/, "~") })).status).toBe(401)
  await ask("/session", { cookie: pair }, { method: "DELETE" })
  expect((await ask("/status.json", { cookie: pair })).status).toBe(401)
  const short = await ask("/session", bearer(issuer.mint({ sub: "ada", scope: "tenants:admin" }, 1)), {
    method: "POST",
  })
  const brief = short.headers.get("set-cookie")!.split(";")[0]!
  await eventually("the session ends with its token", async () => {
    expect((await ask("/status.json", { cookie: brief })).status).toBe(401)
  })
})

test.skipIf(findChromium() === undefined)("a person signs in on the page, and out again", async () => {
  const browser = await openBrowser(findChromium()!)
  const page = await browser.newPage()
  await page.goto(closed.url)
  await page.getByLabel("token").fill("not.a.token")
  await page.getByRole("button", { name: "Sign in" }).click()
  await expect.poll(() => page.getByRole("alert").textContent()).toBe("the token is not valid, or no longer")
  await page.getByLabel("token").fill(administrator())
  await page.keyboard.press("Enter")
  await expect.poll(() => page.locator("tbody a").allTextContents()).toEqual([0, 1, 2].map(nameOf))
  await page.reload()
  await expect.poll(() => page.locator("tbody a").count()).toBe(3)
  await page.getByRole("button", { name: "Sign out" }).click()
  await expect.poll(() => page.locator("h1").textContent()).toBe("Sign in")
  expect(await page.locator("main").textContent()).not.toContain(nameOf(0))
  await browser.close()
})

test("everything that the page loads is ours, within 100 kB, under a policy that allows nothing else", async () => {
  const names = readdirSync(PAGE).filter((name) => /\.(?:js|css|svg|html)$/.test(name))
  const bytes = names.reduce((sum, name) => sum + statSync(path.join(PAGE, name)).size, 0)
  expect(bytes).toBeLessThan(100_000)
  for (const name of names.filter((one) => !one.endsWith(".html"))) {
    const answer = await ask(`/page/${name}`)
    const text = await answer.text()
    expect(answer.status).toBe(200)
    expect(text.replaceAll("http://www.w3.org/2000/svg", "")).not.toMatch(/https?:\/\//)
    expect(answer.headers.get("x-content-type-options")).toBe("nosniff")
    const again = await ask(`/page/${name}`, { "if-none-match": answer.headers.get("etag")! })
    expect(again.status).toBe(304)
  }
  const policy = (await ask("/")).headers.get("content-security-policy")!
  expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'")
  expect(policy).not.toContain("unsafe")
  for (const target of ["/page/../status-server.ts", "/page/tsconfig.json", "/page/%2e%2e/log.ts"])
    expect((await ask(target, bearer(administrator()))).status, target).toBe(404)
})

test("no credential gets to a page, wherever a message brings one", async () => {
  const secret = "pl4nted-s3cret-value"
  keepSecret(secret)
  const uri = `postgres://tenant_x_a:${secret}@host/db`
  const review = reviewOf(3, {
    stalls: [{ tenant: idOf(1), name: nameOf(1), reason: "Why", message: `could not reach ${uri}` }],
  })
  open.begin({
    ...review,
    read: { ...review.read, problems: [{ file: "tenants/x.yaml", line: 1, key: "id", message: secret }] },
  })
  open.status.lastError = `failed with ${uri}`
  open.status.problems = [secret]
  open.end(review)
  for (const target of ["/status.json", "/events.json", `/tenants/${idOf(1)}.json`]) {
    const text = await (await fetch(open.url + target)).text()
    expect(text, target).not.toContain(secret)
    expect(text, target).toContain("***")
  }
})

test("a method that there is not, and a path that leads nowhere, are told so", async () => {
  expect([
    (await ask("/status.json", {}, { method: "POST" })).status,
    (await ask("/session", {}, { method: "PUT" })).status,
  ]).toEqual([405, 405])
  expect((await ask("/nothing", bearer(administrator()))).status).toBe(404)
  expect((await fetch(`${open.url}/tenants/${idOf(77)}.json`)).status).toBe(404)
})

test("the list of ten thousand goes compressed", async () => {
  open.pass(reviewOf(10_000))
  const answer = await fetch(`${open.url}/status.json`)
  expect(answer.headers.get("content-encoding")).toBe("gzip")
  expect(((await answer.json()) as { tenants: unknown[] }).tenants).toHaveLength(10_000)
})

test("ready means that a pass has seen the world lately, whatever failed since", () => {
  let now = 0
  const { ended, isReady } = watchReadiness(60_000, () => now)
  const end = (how: "done" | "incomplete" | "failed" | "lease-held") => ended({ id: "", at: now, ms: 1, how })
  expect(isReady()).toBe(false)
  end("failed")
  end("lease-held")
  expect(isReady()).toBe(false)
  end("incomplete")
  now = 890_000
  end("failed")
  expect(isReady()).toBe(true)
  now = 910_000
  expect(isReady()).toBe(false)
  const slow = watchReadiness(3_600_000, () => now)
  slow.ended({ id: "", at: now, ms: 1, how: "done" })
  now += 3 * 3_600_000 - 1
  expect(slow.isReady()).toBe(true)
})
