/** npm run screenshots: the pictures of the status page in docs/images, of a fleet that is made up. */
import { mkdir } from "node:fs/promises"
import path from "node:path"
import { change } from "../reconciler/samples.ts"
import { findChromium, openBrowser } from "./browser.ts"
import { idOf, reviewOf, serveMadeUp } from "./made-up.ts"

const FOLDER = path.resolve(import.meta.dirname, "../../docs/images")
const WORDS = [
  "Harbor",
  "Maple",
  "Quartz",
  "Juniper",
  "Copper",
  "Willow",
  "Summit",
  "Lantern",
  "Meadow",
  "Falcon",
]
const TRADES = ["Books", "Bikes", "Coffee", "Garden", "Tools", "Toys", "Shoes", "Audio", "Bakery", "Optics"]
const COUNT = 480

const nameOf = (n: number): string => {
  const name = `${WORDS[n % 10]}-${TRADES[Math.floor(n / 10) % 10]}`
  return n < 100 ? name : `${name}-${Math.floor(n / 100) + 1}`
}

const executable = findChromium()
if (executable === undefined) process.exit(1)
const fleet = await serveMadeUp()
const browser = await openBrowser(executable)
await mkdir(FOLDER, { recursive: true })

fleet.pass(reviewOf(COUNT - 1, {}, nameOf))
const creation = change("create", idOf(COUNT), nameOf(COUNT), { kind: "create", database: "d" })
fleet.begin(reviewOf(COUNT, { changes: [creation] }, nameOf))
fleet.listener.progress({ kind: "change", outcome: { change: creation, ms: 700 } })
fleet.end(reviewOf(COUNT, {}, nameOf))

async function take(
  file: string,
  target: string,
  { dark = false, width = 1100, height = 760 }: { dark?: boolean; width?: number; height?: number } = {},
): Promise<void> {
  const page = await browser.newPage({
    viewport: { width, height },
    colorScheme: dark ? "dark" : "light",
    reducedMotion: "reduce",
  })
  await page.goto(fleet.url + target)
  await page.locator("#live", { hasText: "live" }).waitFor()
  await page.locator("tbody, dl").first().waitFor()
  await page.screenshot({ path: path.join(FOLDER, file) })
  await page.close()
  process.stdout.write(`docs/images/${file}\n`)
}

await take("status.png", "/")
await take("status-dark.png", "/", { dark: true })
await take("tenant.png", `/tenants/${idOf(0)}`, { height: 640 })
await take("phone.png", "/", { width: 360, height: 720 })
await browser.close()
fleet.close()
