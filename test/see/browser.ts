/** A real browser, where this machine has one: Debian's Chromium, or the one that CHROMIUM names. */
import { existsSync } from "node:fs"
import axe, { type AxeResults } from "axe-core"
import { type Browser, chromium, type Page } from "playwright-core"

const PLACES = [
  process.env["CHROMIUM"],
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
]

/** undefined where there is none, which is said loudly. */
export function findChromium(): string | undefined {
  const found = PLACES.find((place) => place !== undefined && existsSync(place))
  if (found === undefined)
    process.stderr.write(
      "SKIPPED: no Chromium here, so the status page is not tried in a browser: apt-get install chromium, or set CHROMIUM\n",
    )
  return found
}

/** A browser without windows. Containers and CI run it as root, where its own sandbox cannot be. */
export const openBrowser = (executablePath: string): Promise<Browser> =>
  chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ["--no-sandbox"] : [] })

/** What axe finds wrong with the page as it is now, in words; nothing where all is well. */
export async function findBarriers(page: Page): Promise<string[]> {
  await page.evaluate(axe.source)
  const { violations } = await page.evaluate<AxeResults>("axe.run(document, { resultTypes: ['violations'] })")
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html}: ${failureSummary}`),
  )
}
