// @ts-check
/** The fleet at a glance, and the table of tenants: one page of rows at a time, however many there are. */
import { ago, conditionOf, counted, link, make, number, say, shortSchema, span } from "./dom.js"
import { fleet } from "./fleet.js"
/** @import { Tenant } from "./fleet.js" */

const ROWS = 50
/** @type {{ search: string, group: string, sort: string, isDown: boolean, page: number }} */
const view = { search: "", group: "", sort: "condition", isDown: false, page: 0 }

const GROUPS = ["Ready", "Reconciling", "Stalled", "Retired"]
/** @param {Tenant} tenant */
const groupOf = ({ state, condition }) =>
  (state === "retired" || state === "purging") && condition === "Ready" ? "Retired" : condition

/** Column by column: its key, its heading, whether only wide screens have it, and what it is sorted by. */
/** @type {[key: string, heading: string, isWide: boolean, by: (tenant: Tenant) => string | number][]} */
const COLUMNS = [
  ["name", "Name", false, ({ name }) => name.toLowerCase()],
  [
    "condition",
    "Condition",
    false,
    (tenant) => ["Stalled", "Reconciling", "Ready"].indexOf(tenant.condition),
  ],
  ["reason", "Reason", false, ({ reason }) => reason],
  ["state", "State", true, ({ state }) => state],
  ["schema", "Schema", true, ({ schema }) => schema ?? ""],
  ["since", "Since", true, ({ since }) => -since],
]

/** @returns {Tenant[]} */
function rows() {
  const words = view.search.toLowerCase().split(/\s+/).filter(Boolean)
  const found = [...fleet.tenants.values()].filter(
    (tenant) =>
      (view.group === "" || groupOf(tenant) === view.group) &&
      words.every((word) =>
        `${tenant.name} ${tenant.id} ${tenant.database ?? ""} ${tenant.reason} ${tenant.state}`
          .toLowerCase()
          .includes(word),
      ),
  )
  const by = /** @type {(typeof COLUMNS)[number]} */ (COLUMNS.find(([key]) => key === view.sort))[3]
  const keyed = found.map((tenant) => /** @type {const} */ ([by(tenant), tenant]))
  const sign = view.isDown ? -1 : 1
  keyed.sort(
    ([a, one], [b, other]) => sign * (a < b ? -1 : a > b ? 1 : 0) || (one.name < other.name ? -1 : 1),
  )
  return keyed.map(([, tenant]) => tenant)
}

/** @param {HTMLElement} main */
export function showTenants(main) {
  const tiles = make("div", { class: "tiles", role: "group", "aria-label": "Show only" })
  const facts = make("div")
  const search = make("input", {
    type: "search",
    id: "search",
    value: view.search,
    autocomplete: "off",
    spellcheck: "false",
    "aria-keyshortcuts": "/",
    input: (/** @type {{ target: HTMLInputElement }} */ { target }) => {
      view.search = target.value
      view.page = 0
      drawTable()
    },
  })
  const table = make("table")
  const pager = make("div", { class: "pager" })

  /** @param {Partial<typeof view>} change */
  const look = (change) => {
    Object.assign(view, { page: 0 }, change)
    draw()
  }

  function drawTiles() {
    /** @type {Record<string, number>} */
    const counts = {}
    for (const tenant of fleet.tenants.values()) counts[groupOf(tenant)] = (counts[groupOf(tenant)] ?? 0) + 1
    const all = fleet.tenants.size
    keepFocus(tiles, () =>
      tiles.replaceChildren(
        ...[["", "All", all], ...GROUPS.map((group) => [group, group, counts[group] ?? 0])].map(
          ([group, name, count]) =>
            make(
              "button",
              {
                type: "button",
                "data-key": `tile ${group}`,
                "aria-pressed": String(view.group === group),
                click: () => look({ group: String(group) }),
              },
              make("strong", { class: Number(count) > 0 ? String(group) : "" }, number(Number(count))),
              String(name),
            ),
        ),
      ),
    )
  }

  function drawFacts() {
    const { head } = fleet
    if (!head) return
    const { lastPass, cost = {}, nextPass, pass, rollout, lastError, problems, version, isWaiting } = head
    /** @type {Record<string, number>} */
    const versions = {}
    for (const { schema, state } of fleet.tenants.values())
      if (state !== "retired" && state !== "purging")
        versions[shortSchema(schema)] = (versions[shortSchema(schema)] ?? 0) + 1
    const calls = Object.entries(cost).map(([system, count]) => `${number(count)} ${CALLS[system] ?? system}`)
    facts.replaceChildren(
      ...(lastError
        ? [
            make(
              "div",
              { class: "note Stalled" },
              make("p", {}, "The last pass could not be made: ", lastError),
            ),
          ]
        : []),
      ...(isWaiting
        ? [
            make(
              "p",
              { class: "note Reconciling" },
              "Another reconciler of this fleet is applying; this one waits for it.",
            ),
          ]
        : []),
      ...(problems.length > 0
        ? [
            make(
              "div",
              { class: "note Stalled" },
              make("p", {}, `Faults in files, so no tenant is removed:`),
              make("ul", {}, ...problems.slice(0, 5).map((text) => make("li", {}, text))),
            ),
          ]
        : []),
      make(
        "p",
        { class: "facts" },
        ...(lastPass
          ? [
              "Last pass ",
              ago(lastPass.at + lastPass.ms),
              `: ${took(lastPass.ms)}, ${counted(lastPass.changes, "change")}${lastPass.failures > 0 ? `, ${number(lastPass.failures)} failed` : ""}`,
              calls.length > 0 ? `; calls: ${calls.join(", ")}` : "",
            ]
          : ["No pass yet"]),
        ...(nextPass && !pass ? [". Next ", ago(nextPass)] : []),
        ".",
      ),
      make(
        "p",
        { class: "facts" },
        "Schema: ",
        Object.entries(versions)
          .toSorted(([a], [b]) => (a < b ? 1 : -1))
          .slice(0, 6)
          .map(([schema, count]) => `${number(count)} at ${schema}`)
          .join(", ") || "–",
        version ? `; the newest is ${shortSchema(version)}.` : ".",
      ),
      ...(pass && pass.changes > 0
        ? [
            make(
              "div",
              { class: "note Reconciling" },
              make(
                "p",
                {},
                `A pass is under way: ${number(pass.ended)} of ${counted(pass.changes, "change")}, for ${span(Date.now() - pass.at)}.`,
              ),
              make("progress", {
                value: pass.ended,
                max: pass.changes,
                "aria-label": "Changes of this pass that have ended",
              }),
            ),
          ]
        : []),
      ...(rollout ? [drawRollout(rollout)] : []),
    )
  }

  function drawTable() {
    const found = rows()
    const pages = Math.max(1, Math.ceil(found.length / ROWS))
    view.page = Math.min(view.page, pages - 1)
    const first = view.page * ROWS
    const shown = found.slice(first, first + ROWS)
    keepFocus(table, () =>
      table.replaceChildren(
        make("caption", { class: "unseen" }, "Tenants"),
        make("thead", {}, make("tr", {}, ...COLUMNS.map(heading))),
        make("tbody", {}, ...shown.map(row)),
      ),
    )
    const filtered =
      found.length === fleet.tenants.size
        ? counted(found.length, "tenant")
        : `${number(found.length)} of ${counted(fleet.tenants.size, "tenant")}`
    const where =
      found.length > ROWS
        ? `${number(first + 1)} to ${number(first + shown.length)} of ${number(found.length)}`
        : filtered
    keepFocus(pager, () =>
      pager.replaceChildren(
        ...(found.length > ROWS
          ? [
              make(
                "button",
                { type: "button", "data-key": "before", disabled: view.page === 0, click: () => turn(-1) },
                "Earlier",
              ),
              make(
                "button",
                {
                  type: "button",
                  "data-key": "after",
                  disabled: view.page === pages - 1,
                  click: () => turn(1),
                },
                "Later",
              ),
            ]
          : []),
        make("span", {}, where),
      ),
    )
    say(filtered)
  }

  /** @param {number} by */
  function turn(by) {
    view.page += by
    drawTable()
    table.scrollIntoView({ block: "nearest" })
  }

  /** @param {(typeof COLUMNS)[number]} column */
  function heading([key, text, isWide]) {
    const isSorted = view.sort === key
    const sort = () => look({ sort: key, isDown: isSorted && !view.isDown })
    return make(
      "th",
      {
        scope: "col",
        class: isWide ? "wide" : undefined,
        "aria-sort": isSorted ? (view.isDown ? "descending" : "ascending") : undefined,
      },
      make(
        "button",
        { type: "button", "data-key": `sort ${key}`, click: sort },
        text,
        isSorted && make("span", { "aria-hidden": "true" }, view.isDown ? " ▾" : " ▴"),
      ),
    )
  }

  function draw() {
    drawTiles()
    drawFacts()
    drawTable()
  }

  main.replaceChildren(
    make("h1", {}, "Tenants"),
    tiles,
    facts,
    make("div", { class: "tools" }, make("label", {}, "Search by name, id, database or reason", search)),
    table,
    pager,
  )
  table.addEventListener("keydown", walk)
  draw()
  return draw
}

/** @type {Record<string, string>} */
const CALLS = { neon: "to Neon", vault: "to Key Vault", postgres: "to Postgres" }

/** @param {number} ms */
const took = (ms) => (ms < 1000 ? `${ms} ms` : span(ms))

/** @param {Tenant} tenant */
function row(tenant) {
  const { id, name, condition, reason, state, schema, since, message } = tenant
  const isFresh = Date.now() - since < 3000
  return make(
    "tr",
    { class: isFresh ? "fresh" : undefined },
    make("th", { scope: "row" }, link(`/tenants/${id}`, name, { "data-key": `row ${id}` })),
    make("td", {}, conditionOf(condition)),
    make("td", { title: message }, reason),
    make("td", { class: "wide" }, state),
    make("td", { class: "wide mono" }, shortSchema(schema)),
    make("td", { class: "wide" }, ago(since)),
  )
}

/** @param {NonNullable<NonNullable<typeof fleet.head>["rollout"]>} rollout */
export function drawRollout({ version, total, there, failed, waiting, stopped }) {
  const parts = [
    failed > 0 ? `${number(failed)} failed` : "",
    waiting > 0 ? `${number(waiting)} wait` : "",
  ].filter(Boolean)
  return make(
    "div",
    { class: `note ${stopped || failed > 0 ? "Stalled" : "Reconciling"}` },
    make(
      "p",
      {},
      `Migrating to ${shortSchema(version)}: ${number(there)} of ${counted(total, "tenant")} there${parts.length > 0 ? `, ${parts.join(", ")}` : ""}.`,
    ),
    make("progress", { value: there, max: total, "aria-label": `Tenants at ${shortSchema(version)}` }),
    stopped && make("p", {}, stopped),
  )
}

/** Arrows walk from row to row. @param {KeyboardEvent} event */
function walk(event) {
  const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0
  if (step === 0) return
  const links = [.../** @type {HTMLElement} */ (event.currentTarget).querySelectorAll("tbody a")]
  const at = links.indexOf(/** @type {Element} */ (document.activeElement))
  const next = /** @type {HTMLElement | undefined} */ (links[at + step])
  if (at === -1 || !next) return
  event.preventDefault()
  next.focus()
}

/** Draws anew without taking the focus from who has it. @param {HTMLElement} part @param {() => void} draw */
function keepFocus(part, draw) {
  const held = part.contains(document.activeElement)
    ? document.activeElement?.getAttribute("data-key")
    : undefined
  draw()
  const again = held && part.querySelector(`[data-key="${CSS.escape(held)}"]`)
  if (again instanceof HTMLElement) again.focus({ preventScroll: true })
}
