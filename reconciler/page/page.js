// @ts-check
/** Which of the pages is shown, who is signed in, and what is drawn when the fleet changes. */
import { make, refreshAges, say } from "./dom.js"
import { showEvents } from "./events.js"
import { fleet, follow, load, SignedOut } from "./fleet.js"
import { showPlan } from "./plan.js"
import { showTenant } from "./tenant.js"
import { showTenants } from "./tenants.js"

const main = /** @type {HTMLElement} */ (document.querySelector("#main"))
const live = /** @type {HTMLElement} */ (document.querySelector("#live"))
const signOut = /** @type {HTMLButtonElement} */ (document.querySelector("#sign-out"))
/** Draws what is shown anew. @type {(ids: Set<string>) => void} */
let draw = () => {}
let stop = () => {}

/** @param {unknown} error */
function failed(error) {
  if (error instanceof SignedOut) {
    askForToken(error.message)
    return
  }
  main.replaceChildren(
    make("h1", {}, "Not to be had"),
    make("p", { role: "alert" }, error instanceof Error ? error.message : String(error)),
    make("p", {}, make("a", { href: "/" }, "All tenants")),
  )
}

function show() {
  const path = location.pathname
  for (const link of document.querySelectorAll("nav a")) {
    if (link.getAttribute("href") === path) link.setAttribute("aria-current", "page")
    else link.removeAttribute("aria-current")
  }
  const [, tenant] = /^\/tenants\/([^/]+)$/.exec(path) ?? []
  document.title =
    path === "/plan" ? "Plan · Tenantry" : path === "/events" ? "Events · Tenantry" : "Tenantry"
  if (tenant) {
    const again = showTenant(main, tenant, failed)
    draw = (ids) => void (ids.has(tenant) && again())
  } else if (path === "/events") draw = showEvents(main, failed)
  else draw = path === "/plan" ? showPlan(main) : showTenants(main)
}

function start() {
  stop()
  void load("/session").then(({ isOpen }) => (signOut.hidden = !isOpen), failed)
  stop = follow({
    changed(ids) {
      const name = document.querySelector("#fleet")
      if (name) name.textContent = fleet.head?.fleet ?? ""
      if (isShown) draw(ids)
      else {
        isShown = true
        show()
      }
    },
    state(text) {
      live.textContent = text
    },
    failed,
  })
}
let isShown = false

/** @param {string} why */
function askForToken(why) {
  isShown = false
  live.textContent = "signed out"
  signOut.hidden = true
  const token = make("input", { id: "token", type: "password", autocomplete: "off", required: true })
  const problem = make("p", { role: "alert" })
  const form = make(
    "form",
    {
      class: "sign-in",
      submit: async (/** @type {Event} */ event) => {
        event.preventDefault()
        const response = await fetch("/session", {
          method: "POST",
          headers: { authorization: `Bearer ${token.value.trim()}` },
        })
        if (response.ok) {
          start()
          return
        }
        problem.textContent = (await response.json()).error
        token.focus()
      },
    },
    make("label", { for: "token" }, "An administrator's token of the issuer"),
    token,
    make("button", { type: "submit" }, "Sign in"),
    problem,
  )
  main.replaceChildren(make("h1", {}, "Sign in"), make("p", {}, `To see the fleet, ${why}.`), form)
  token.focus()
}

signOut.addEventListener("click", async () => {
  stop()
  await fetch("/session", { method: "DELETE" })
  fleet.tenants.clear()
  askForToken("sign in with an administrator's token")
})

/** Links within the page need no new page. */
document.addEventListener("click", (event) => {
  const target = event.target instanceof Element ? event.target.closest("a") : null
  if (
    !target ||
    target.origin !== location.origin ||
    event.button !== 0 ||
    event.ctrlKey ||
    event.metaKey ||
    event.shiftKey
  )
    return
  if (target.hash) return
  event.preventDefault()
  if (target.href !== location.href) history.pushState(undefined, "", target.href)
  show()
  window.scrollTo(0, 0)
  main.focus({ preventScroll: true })
  say(document.title)
})
window.addEventListener("popstate", show)

document.addEventListener("keydown", (event) => {
  const search = /** @type {HTMLInputElement | null} */ (document.querySelector("#search"))
  const isTyping = event.target instanceof HTMLInputElement
  if (event.key === "/" && !isTyping && search) {
    event.preventDefault()
    search.select()
    search.focus()
  }
  if (event.key === "Escape" && event.target === search && search && search.value !== "") {
    search.value = ""
    search.dispatchEvent(new Event("input"))
  }
  if (event.key === "ArrowDown" && event.target === search) {
    const first = document.querySelector("tbody a")
    event.preventDefault()
    if (first instanceof HTMLElement) first.focus()
  }
})

setInterval(refreshAges, 1000)
start()
