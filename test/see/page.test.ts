/** The status page in a real browser, with ten thousand tenants that are made up. */
import type { Browser, Page } from "playwright-core"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { change } from "../reconciler/samples.ts"
import { findBarriers, findChromium, openBrowser } from "./browser.ts"
import { idOf, nameOf, reviewOf, serveMadeUp } from "./made-up.ts"

const chromium = findChromium()
const MANY = 10_000

describe.skipIf(chromium === undefined)("with ten thousand tenants", () => {
  let browser: Browser
  let page: Page
  let fleet: Awaited<ReturnType<typeof serveMadeUp>>
  const troubles: string[] = []

  beforeAll(async () => {
    fleet = await serveMadeUp()
    fleet.pass(reviewOf(MANY))
    browser = await openBrowser(chromium!)
    page = await browser.newPage({ viewport: { width: 1100, height: 800 }, reducedMotion: "reduce" })
    page.on(
      "console",
      (message) => ["error", "warning"].includes(message.type()) && troubles.push(message.text()),
    )
    page.on("pageerror", (error) => troubles.push(error.message))
    await page.goto(fleet.url)
    await page.waitForSelector("tbody a")
  })
  afterAll(async () => {
    await browser?.close()
    fleet?.close()
  })
  const names = () => page.locator("tbody a").allTextContents()
  const first = () => page.locator("tbody a").first()

  test("the fleet is summed up, and the document holds one page of rows and no more", async () => {
    expect(await page.locator(".tiles button").allTextContents()).toEqual([
      "10,000All",
      "9,698Ready",
      "200Reconciling",
      "2Stalled",
      "100Retired",
    ])
    expect(await page.locator("tbody tr").count()).toBe(50)
    expect(await page.locator(".pager").textContent()).toContain("1 to 50 of 10,000")
    await expect.poll(() => page.locator("#live").textContent()).toBe("live")
    expect(await page.locator("main").textContent()).toContain(
      "Migrating to 0003: 9,700 of 9,900 tenants there",
    )
  })

  test("searching, filtering, sorting and turning pages find tenants among all of them", async () => {
    await page.keyboard.press("/")
    await page.keyboard.type("tenant-0777 active")
    await expect.poll(names).toHaveLength(10)
    await page.keyboard.press("Escape")
    await page.getByRole("button", { name: "Stalled" }).click()
    expect(await names()).toEqual([nameOf(0), nameOf(1)])
    await page.getByRole("button", { name: "10,000 All" }).click()
    await page.getByRole("button", { name: "Name" }).click()
    expect(await first().textContent()).toBe(nameOf(0))
    await page.getByRole("button", { name: "Name" }).click()
    expect(await first().textContent()).toBe(nameOf(9999))
    expect(await page.locator("th[aria-sort=descending]").textContent()).toContain("Name")
    await page.getByRole("button", { name: "Name" }).click()
    await page.getByRole("button", { name: "Later" }).click()
    expect(await first().textContent()).toBe(nameOf(50))
    expect(await page.locator("#said").textContent()).toBe("10,000 tenants")
    await page.getByRole("button", { name: "Earlier" }).click()
  })

  test("a search over all of them makes one page of rows, and a change of one tenant no more", async () => {
    await page.evaluate(`
      globalThis.added = 0
      new MutationObserver((changes) => {
        for (const { addedNodes } of changes)
          for (const node of addedNodes) globalThis.added += node.querySelectorAll?.("tr").length ?? 0
      }).observe(document.querySelector("table"), { childList: true })`)
    const added = () => page.evaluate<number>("globalThis.added")
    await page.locator("#search").fill("tenant-09")
    await expect.poll(() => page.locator(".pager").textContent()).toContain("of 1,000")
    expect(await added()).toBe(51)
    fleet.pass(reviewOf(MANY, { stalls: [] }))
    await expect.poll(() => page.locator(".tiles").textContent()).toContain("1Stalled")
    expect(await added()).toBeLessThan(51 * 4)
    fleet.pass(reviewOf(MANY))
    await expect.poll(() => page.locator(".tiles").textContent()).toContain("2Stalled")
    await page.locator("#search").press("Escape")
    await page.locator("#search").blur()
  })

  test("everything is reached by keyboard: search, rows, a tenant, and back", async () => {
    await page.keyboard.press("/")
    expect(await page.evaluate("document.activeElement?.id")).toBe("search")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await page.waitForSelector("dl")
    expect(await page.locator("h1").textContent()).toBe(nameOf(1))
    expect(await page.evaluate("document.activeElement?.id")).toBe("main")
    await page.goBack()
    await page.waitForSelector("tbody a")
    await page.keyboard.press("Tab")
    const isSeen = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    expect(isSeen).toBe("solid")
  })

  test("a tenant's page says what is the matter, and the command that lets it happen", async () => {
    await page.goto(`${fleet.url}/tenants/${idOf(0)}`)
    await page.waitForSelector("dl")
    const text = await page.locator("main").textContent()
    expect(text).toContain("the ledger says that this tenant is protected")
    expect(text).toContain(`npx tenantry approve ${idOf(0)} retire`)
    expect(text).toContain(`products-${nameOf(0)}`)
    expect(text).toContain("0003_carts.sql")
    expect(text).toContain("tenant withheld")
    await page.goto(`${fleet.url}/tenants/${idOf(25)}`)
    await expect.poll(() => page.locator("main").textContent()).toContain("0003_carts.sql – not yet")
  })

  test("the plan shows what is withheld and how it is allowed, and a pass that is under way", async () => {
    await page.getByRole("link", { name: "Plan" }).click()
    await expect.poll(() => page.locator("main").textContent()).toContain("Nothing to do")
    expect(await page.locator("main").textContent()).toContain(`npx tenantry approve ${idOf(1)} recreate`)
    const created = change(
      "create",
      idOf(MANY),
      nameOf(MANY),
      { kind: "create", database: "d" },
      { kind: "secure", database: "d" },
    )
    fleet.begin(reviewOf(MANY, { changes: [created] }))
    fleet.listener.progress({ kind: "action", change: created, action: "create", ms: 1 })
    await expect
      .poll(() => page.locator("main").textContent())
      .toContain("create: 1 of 2 steps done, the last was create")
    fleet.listener.progress({ kind: "change", outcome: { change: created, ms: 2 } })
    fleet.end(reviewOf(MANY + 1))
    await expect.poll(() => page.locator("main").textContent()).toContain("Nothing to do")
    await page.getByRole("link", { name: "Events" }).click()
    await expect.poll(() => page.locator("tbody tr").first().textContent()).toContain("tenant created")
  })

  test("a change comes to the open page by itself, and whoever reads or types is not disturbed", async () => {
    await page.getByRole("link", { name: "Tenants", exact: true }).click()
    await page.keyboard.press("/")
    await page.keyboard.type(nameOf(MANY + 1))
    await expect.poll(names).toEqual([])
    fleet.pass(reviewOf(MANY + 2))
    await expect.poll(names).toEqual([nameOf(MANY + 1)])
    expect(await page.evaluate("document.activeElement?.id")).toBe("search")
    fleet.pass(reviewOf(MANY))
    await expect.poll(names).toEqual([])
    await page.keyboard.press("Escape")
  })

  test.for<["light" | "dark", number]>([
    ["light", 1100],
    ["dark", 320],
  ])(
    "axe finds nothing on any page, %s and %i pixels wide, and nothing is cut off",
    async ([colorScheme, width]) => {
      const few = await serveMadeUp()
      for (const tenants of [60, 61]) few.pass(reviewOf(tenants))
      await page.emulateMedia({ colorScheme })
      await page.setViewportSize({ width, height: 700 })
      for (const path of ["/", "/plan", "/events", `/tenants/${idOf(0)}`]) {
        await page.goto(few.url + path)
        await expect.poll(() => page.locator("#live").textContent()).toBe("live")
        await page.waitForSelector(
          path === "/plan" ? "h2" : path === "/" || path === "/events" ? "tbody" : "dl",
        )
        const ground = await page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        expect(ground).toBe(colorScheme === "dark" ? "rgb(20, 24, 29)" : "rgb(255, 255, 255)")
        expect(await findBarriers(page), path).toEqual([])
        const overflow = await page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        expect(overflow, path).toBeLessThanOrEqual(0)
      }
      await page.goto("about:blank")
      few.close()
    },
  )

  test("nothing went wrong in the browser, and the content policy refused nothing", () => {
    expect(troubles).toEqual([])
  })
})
