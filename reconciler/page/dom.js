// @ts-check
/** Making elements, and words for numbers and times. Text becomes text, never markup. */

/** @typedef {Node | string | number | undefined | false} Child */

/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, string | number | boolean | undefined | ((event: any) => void)>} [attributes] a function listens to the event of its name
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue
    if (typeof value === "function") element.addEventListener(name, value)
    else element.setAttribute(name, value === true ? "" : String(value))
  }
  element.append(
    ...children
      .filter((child) => child !== undefined && child !== false)
      .map((child) => (typeof child === "number" ? String(child) : child)),
  )
  return element
}

/** @param {number} count */
export const number = (count) => count.toLocaleString("en")

/** @param {number} count @param {string} one @param {string} [many] */
export const counted = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`

/** @param {number} ms */
export function span(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h`
  return `${Math.floor(seconds / 86_400)} days`
}

/** An age that stays true while the page is open. @param {number} at */
export const ago = (at) =>
  make(
    "time",
    { datetime: new Date(at).toISOString(), "data-at": at, title: new Date(at).toLocaleString() },
    said(at),
  )

/** @param {number} at */
const said = (at) => (at > Date.now() ? `in ${span(at - Date.now())}` : `${span(Date.now() - at)} ago`)

/** Brings all ages up to date. */
export function refreshAges() {
  for (const element of document.querySelectorAll("time[data-at]")) {
    const text = said(Number(element.getAttribute("data-at")))
    if (element.textContent !== text) element.textContent = text
  }
}

/** "0004", of "0004:9f86…" or "0003:… not 0004:…". @param {string | undefined} schema */
export const shortSchema = (schema) => schema?.split(/[: ]/)[0] ?? "–"

const SIGNS = { Ready: "✓", Reconciling: "↻", Stalled: "!" }

/** A condition by word, sign and colour. @param {keyof typeof SIGNS} condition */
export const conditionOf = (condition) =>
  make(
    "span",
    { class: `condition ${condition}` },
    make("span", { "aria-hidden": "true" }, `${SIGNS[condition]} `),
    condition,
  )

/** @param {string} path @param {Child} text @param {Record<string, string>} [attributes] */
export const link = (path, text, attributes = {}) => make("a", { href: path, ...attributes }, text)

/** What a person is told without looking. @param {string} text */
export function say(text) {
  const spoken = document.querySelector("#said")
  if (spoken && spoken.textContent !== text) spoken.textContent = text
}
