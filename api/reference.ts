/** The OpenAPI document, and a page that shows it: plain HTML, without a script and without anything from elsewhere. */
import { Router } from "express"
import { methodNotAllowed } from "./routes.ts"

type Operation = {
  summary: string
  parameters: { name: string; in: string; schema: unknown; description?: string }[]
  requestBody?: { content: Record<string, { schema: unknown }> }
  responses: Record<string, { description: string; content?: Record<string, { schema: unknown }> }>
}
type Document = {
  info: { title: string; description: string }
  paths: Record<string, Record<string, Operation>>
}

const ENTITIES: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
}
const escape = (text: string): string => text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character]!)
const json = (value: unknown): string => `<pre>${escape(JSON.stringify(value, null, 2))}</pre>`

const STYLE = `body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
summary{cursor:pointer;padding:.4rem 0;border-top:1px solid #ddd}code{font-weight:600}pre{background:#f5f5f5;padding:.6rem;overflow:auto}
table{border-collapse:collapse}td{padding:.1rem .8rem .1rem 0;vertical-align:top}`

function showOperation(method: string, path: string, operation: Operation): string {
  const parameters = operation.parameters.map(
    ({ name, in: place, description = "" }) =>
      `<tr><td><code>${escape(name)}</code></td><td>${place}</td><td>${escape(description)}</td></tr>`,
  )
  const responses = Object.entries(operation.responses).map(
    ([status, { description, content }]) =>
      `<tr><td><code>${status}</code></td><td>${escape(description)}${
        content?.["application/json"] ? json(content["application/json"].schema) : ""
      }</td></tr>`,
  )
  const body = operation.requestBody?.content["application/json"]?.schema
  return `<details><summary><code>${method.toUpperCase()} ${escape(path)}</code> ${escape(operation.summary)}</summary>
<table>${parameters.join("")}</table>${body ? `<p>Body</p>${json(body)}` : ""}<p>Answers</p><table>${responses.join("")}</table></details>`
}

function toPage({ info, paths }: Document): string {
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => showOperation(method, path, operation)),
  )
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escape(info.title)}</title><style>${STYLE}</style>
<h1>${escape(info.title)}</h1><p>${escape(info.description)} The same as <a href="openapi.json">JSON</a>.</p>
${operations.join("\n")}</html>`
}

/** /openapi.json and /docs; they need no tenant and no token. */
export function reference(document: unknown): Router {
  const page = toPage(document as Document)
  const router = Router()
  router
    .route("/openapi.json")
    .get((_request, response) => void response.json(document))
    .all(methodNotAllowed("GET, HEAD"))
  router
    .route("/docs")
    .get((_request, response) => void response.type("html").send(page))
    .all(methodNotAllowed("GET, HEAD"))
  return router
}
