// @ts-check
/** What the next pass would do, what is withheld and why, and how a person allows it. */
import { counted, link, make, number } from "./dom.js"
import { fleet } from "./fleet.js"
import { approval } from "./tenant.js"
import { drawRollout } from "./tenants.js"
/** @import { Held } from "./fleet.js" */

/** @param {HTMLElement} main */
export function showPlan(main) {
  function draw() {
    const { head } = fleet
    if (!head) return
    const { plan, pass, rollout } = head
    const { counts } = plan
    main.replaceChildren(
      make("h1", {}, "Plan"),
      make(
        "p",
        { class: "quiet" },
        pass
          ? "A pass is under way; this is what is left of it."
          : "What the next pass would do, as the last one left it.",
      ),
      ...(rollout ? [drawRollout(rollout)] : []),
      ...(pass && pass.running.length > 0
        ? [
            make("h2", {}, "Now"),
            make(
              "ul",
              {},
              ...pass.running.map(({ tenant, name, kind, action, step, steps }) =>
                make(
                  "li",
                  {},
                  link(`/tenants/${tenant}`, name),
                  ` ${kind}: ${step} of ${steps} steps done, the last was ${action}`,
                ),
              ),
            ),
          ]
        : []),
      make("h2", {}, counts.changes === 0 ? "Nothing to do" : counted(counts.changes, "change")),
      ...(counts.changes > 0
        ? [
            make(
              "ul",
              {},
              ...plan.changes.map(({ tenant, name, kind, actions }) =>
                make(
                  "li",
                  {},
                  `${kind} `,
                  link(`/tenants/${tenant}`, name),
                  " ",
                  make("code", {}, actions.join(" › ")),
                ),
              ),
            ),
            more(plan.changes.length, counts.changes),
          ]
        : []),
      ...held("Withheld", plan.withheld, counts.withheld),
      ...held("Stalled", plan.stalls, counts.stalls),
      ...list("Faults in files", plan.problems, counts.problems),
      ...list("Unmanaged databases, never touched", plan.unmanaged.databases, counts.databases),
      ...list("Unmanaged secrets, never touched", plan.unmanaged.secrets, counts.secrets),
    )
  }
  draw()
  return draw
}

/** @param {string} title @param {Held[]} items @param {number} count */
const held = (title, items, count) =>
  count === 0
    ? []
    : [
        make("h2", {}, `${title}: ${number(count)}`),
        ...items.map(({ tenant, name, kind, reason, message, approve, waiting }) =>
          make(
            "div",
            { class: `note ${waiting ? "Reconciling" : "Stalled"}` },
            make(
              "p",
              {},
              kind ? `${kind} ` : "",
              link(`/tenants/${tenant}`, name),
              ` – ${reason}: ${message}`,
            ),
            ...approval(tenant, approve),
          ),
        ),
        more(items.length, count),
      ]

/** @param {string} title @param {string[]} items @param {number} count */
const list = (title, items, count) =>
  count === 0
    ? []
    : [
        make("h2", {}, `${title}: ${number(count)}`),
        make("ul", {}, ...items.map((item) => make("li", {}, make("code", {}, item)))),
        more(items.length, count),
      ]

/** @param {number} shown @param {number} count */
const more = (shown, count) =>
  shown < count ? make("p", { class: "quiet" }, `… and ${number(count - shown)} more`) : ""
