/** Checks responses against the OpenAPI description that the Neon client package carries. */
import { readFileSync } from "node:fs"
import { Ajv, type ValidateFunction } from "ajv"
import formats from "ajv-formats"
import { parse } from "yaml"

type Response = { $ref?: string; content?: Record<string, { schema: object }> }
type Description = {
  components: { responses: Record<string, Response>; schemas: Record<string, object> }
  paths: Record<string, Record<string, { responses?: Record<string, Response> }>>
}

const file = new URL(
  "../../node_modules/@neondatabase/api-client/public-v2-for-users.gen.yaml",
  import.meta.url,
)
const description = parse(readFileSync(file, "utf8")) as Description
const ajv = new Ajv({ strict: false, allErrors: true })
formats.default(ajv)
ajv.addSchema({ $id: "neon", components: description.components })

const compiled = new Map<string, ValidateFunction | "no content">()

/** Every "METHOD path status" that was checked, so that a test can see what the others covered. */
export const checked = new Set<string>()

/** Throws unless the description allows `body` as the answer with `status` to this call; `path` is below /api/v2. */
export function checkResponse(method: string, path: string, status: number, body: unknown): void {
  const template = templateOf(method, path)
  const key = `${method} ${template} ${status}`
  const validate = compiled.get(key) ?? compile(template, method, status)
  compiled.set(key, validate)
  checked.add(key)
  if (validate === "no content") {
    if (body !== "" && body !== undefined) throw new Error(`${key}: a body where the description has none`)
    return
  }
  if (!validate(body))
    throw new Error(`${key}: ${ajv.errorsText(validate.errors)} in ${JSON.stringify(body)}`)
}

function templateOf(method: string, path: string): string {
  const candidates = Object.keys(description.paths).filter((template) => {
    const pattern = new RegExp(`^${template.replace(/\{[^}]+\}/g, "[^/]+")}$`)
    return (
      pattern.test(path.replace(/\/$/, "")) &&
      description.paths[template]?.[method.toLowerCase()] !== undefined
    )
  })
  const template = candidates.toSorted((a, b) => a.split("{").length - b.split("{").length)[0]
  if (template === undefined) throw new Error(`the description has no ${method} ${path}`)
  return template
}

function compile(template: string, method: string, status: number): ValidateFunction | "no content" {
  const responses = description.paths[template]?.[method.toLowerCase()]?.responses ?? {}
  const declared = responses[String(status)] ?? (status >= 400 ? responses["default"] : undefined)
  if (declared === undefined)
    throw new Error(`the description has no status ${status} for ${method} ${template}`)
  const response =
    declared.$ref === undefined
      ? declared
      : description.components.responses[declared.$ref.split("/").at(-1) ?? ""]
  const schema = response?.content?.["application/json"]?.schema
  if (schema === undefined) return "no content"
  return ajv.compile(
    JSON.parse(JSON.stringify(schema).replaceAll('"#/components/', '"neon#/components/')) as object,
  )
}
