// @ts-check
/** What happened, newest first. */
import { ago, link, make } from "./dom.js"
import { load } from "./fleet.js"

/** @param {import("./fleet.js").FleetEvent[]} events @param {{ isOfOne: boolean }} options */
export function eventList(events, { isOfOne }) {
  if (events.length === 0) return make("p", { class: "quiet" }, "None since the reconciler started.")
  const heads = ["When", "What", ...(isOfOne ? [] : ["Who"]), "Why"]
  return make(
    "table",
    {},
    make("caption", { class: "unseen" }, "Events"),
    make("thead", {}, make("tr", {}, ...heads.map((text) => make("th", { scope: "col" }, text)))),
    make(
      "tbody",
      {},
      ...events.map(({ at, type, tenant, name, why }) =>
        make(
          "tr",
          {},
          make("td", {}, ago(at)),
          make("td", {}, type.replace(".", " ")),
          ...(isOfOne ? [] : [make("td", {}, tenant ? link(`/tenants/${tenant}`, name) : name)]),
          make("td", {}, why),
        ),
      ),
    ),
  )
}

/** @param {HTMLElement} main @param {(error: unknown) => void} failed */
export function showEvents(main, failed) {
  async function draw() {
    try {
      const { events } = await load("/events.json")
      if (main.isConnected)
        main.replaceChildren(make("h1", {}, "Events"), eventList(events, { isOfOne: false }))
    } catch (error) {
      failed(error)
    }
  }
  void draw()
  return draw
}
