// @ts-check
/** One tenant: how it is and why, what waits for a person, its migrations and its events. */
import { ago, conditionOf, link, make, shortSchema } from "./dom.js"
import { eventList } from "./events.js"
import { fleet, load } from "./fleet.js"
/** @import { Child } from "./dom.js" */

/** @param {HTMLElement} main @param {string} id @param {(error: unknown) => void} failed */
export function showTenant(main, id, failed) {
  let isCurrent = 0
  async function draw() {
    const turn = ++isCurrent
    try {
      const found = await load(`/tenants/${id}.json`)
      if (turn === isCurrent && main.isConnected) main.replaceChildren(...render(found))
    } catch (error) {
      failed(error)
    }
  }
  void draw()
  return draw
}

/** @param {{ tenant: import("./fleet.js").Tenant, events: import("./fleet.js").FleetEvent[], steps: { name: string, isApplied: boolean }[], change?: import("./fleet.js").Change }} found */
function render({ tenant, events, steps, change }) {
  const {
    id,
    name,
    condition,
    reason,
    message,
    since,
    state,
    cell,
    database,
    schema,
    issuedAt,
    isProtected,
    hosts,
    approve,
  } = tenant
  document.title = `${name} · Tenantry`
  const version = fleet.head?.version
  const isBehind = version !== undefined && schema !== undefined && schema !== version
  const newest =
    shortSchema(schema) === shortSchema(version)
      ? ", but from another file than the one that is there now"
      : `, and ${shortSchema(version)} is the newest`
  /** @type {[string, ...Child[]][]} */
  const facts = [
    ["Condition", conditionOf(condition), ` ${reason}, since `, ago(since)],
    ["Id", make("code", {}, id)],
    ["State", state, isProtected && ", protected: its removal waits for a person"],
    ["Database", database ? make("code", {}, database) : "none yet", cell && ` in the cell ${cell}`],
    ["Hosts", hosts ? make("code", {}, hosts.join(" ")) : "none of its own"],
    ["Schema", shortSchema(schema), isBehind && newest],
    ["Credential", issuedAt ? "made " : "none yet", issuedAt ? ago(issuedAt) : undefined],
  ]
  return [
    make("p", {}, link("/", "All tenants")),
    make("h1", {}, name),
    ...(message
      ? [make("div", { class: `note ${condition}` }, make("p", {}, message), ...approval(id, approve))]
      : []),
    make("dl", {}, ...facts.flatMap(([term, ...words]) => [make("dt", {}, term), make("dd", {}, ...words)])),
    ...(change
      ? [
          make("h2", {}, "Next"),
          make("p", {}, `${change.kind}: `, make("code", {}, change.actions.join(" › "))),
        ]
      : []),
    make("h2", {}, "Migrations"),
    steps.length === 0
      ? make("p", { class: "quiet" }, "There are none.")
      : make(
          "ol",
          {},
          ...steps.map((step) =>
            make("li", {}, make("code", {}, step.name), step.isApplied ? "" : " – not yet"),
          ),
        ),
    make("h2", {}, "Events"),
    eventList(events, { isOfOne: true }),
  ]
}

/** How a person lets it happen. @param {string} id @param {string | undefined} verb */
export const approval = (id, verb) =>
  verb ? [make("p", {}, "To allow it once: ", make("code", {}, `npx tenantry approve ${id} ${verb}`))] : []
