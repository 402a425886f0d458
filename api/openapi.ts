/** The OpenAPI 3.1 document, made of the operations and the schemas that check their requests. */
import { z } from "zod"
import type { AdminOperation } from "./administration.ts"
import type { Described, Operation } from "./operation.ts"
import { type ProblemKey, PROBLEMS } from "./problems.ts"
import type { TenantSettings } from "./which-tenant.ts"

type Json = Record<string, unknown>

/** What every request may meet, whatever it asks for. */
const ANYWHERE: ProblemKey[] = [
  "request-malformed",
  "route-not-found",
  "method-not-allowed",
  "token-missing",
  "token-invalid",
  "rate-exceeded",
  "issuer-unavailable",
  "vault-unavailable",
  "internal",
]
const OF_TENANTS: ProblemKey[] = [
  "tenant-missing",
  "tenant-malformed",
  "tenant-repeated",
  "tenant-ambiguous",
  "tenant-not-found",
  "tenant-forbidden",
  "tenant-suspended",
  "tenant-retired",
  "tenant-reserved",
  "database-unavailable",
  "database-mismatch",
  "database-busy",
  "database-timeout",
  "schema-behind",
]
const OF_BODIES: ProblemKey[] = ["request-invalid", "body-malformed", "body-too-large", "body-not-json"]

/** Names are strings, ids whole numbers. */
const pathParameters = ({ path, ids }: Described): Json[] =>
  Array.from(path.matchAll(/\{(\w+)\}/g), ([, name = ""]) => ({
    name,
    in: "path",
    required: true,
    schema: ids && name in ids ? { type: "integer", minimum: 1 } : { type: "string" },
  }))

function toSchema(schema: z.ZodType, io: "input" | "output"): Json {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io, target: "draft-2020-12" })
  return rest
}

function queryParameters(query: z.ZodType | undefined): Json[] {
  if (!query) return []
  const { properties = {} } = toSchema(query, "input") as { properties?: Record<string, Json> }
  return Object.entries(properties).map(([name, schema]) => ({ name, in: "query", required: false, schema }))
}

const header = (
  name: string,
  description: string,
  schema: Json = { type: "string" },
  required = false,
): Json => ({
  name,
  in: "header",
  required,
  description,
  schema,
})

const IF_MATCH = header("If-Match", "The ETag that the caller has seen.")

const seconds = { schema: { type: "integer", minimum: 0 } }
/** What some problems carry besides; by their status. */
const HEADERS: Record<string, Json> = {
  429: {
    "Retry-After": { description: "Seconds until more requests are let through.", ...seconds },
    "RateLimit-Policy": {
      description:
        "The limit that was met, of a tenant or of a caller: q requests at once, which come back within w seconds.",
      schema: { type: "string", pattern: '^"(?:tenant|caller)";q=[0-9]+;w=[0-9]+$' },
    },
    RateLimit: {
      description: "What is left of it, r, and in how many seconds there is more, t.",
      schema: { type: "string", pattern: '^"(?:tenant|caller)";r=0;t=[0-9]+$' },
    },
  },
  503: {
    "Retry-After": { description: "Seconds; only where trying again is likely to help.", ...seconds },
  },
}

/** One answer per status, with the types that it may have. */
function problemAnswers(keys: readonly ProblemKey[]): Json {
  const byStatus = Object.groupBy(new Set(keys), (key) => PROBLEMS[key][0])
  return Object.fromEntries(
    Object.entries(byStatus).map(([status, ofStatus]) => [
      status,
      {
        description: ofStatus.map((key) => PROBLEMS[key][1]).join("; "),
        ...(HEADERS[status] ? { headers: HEADERS[status] } : {}),
        content: {
          "application/problem+json": {
            schema: {
              allOf: [
                { $ref: "#/components/schemas/Problem" },
                { properties: { type: { enum: ofStatus.map((key) => `/problems/${key}`) } } },
              ],
            },
          },
        },
      },
    ]),
  )
}

const shown = (schema: z.ZodType | undefined, description: string): Json => ({
  description,
  ...(schema ? { content: { "application/json": { schema: toSchema(schema, "output") } } } : {}),
})

function describe(
  operation: Described,
  more: { parameters: Json[]; problems: ProblemKey[]; answers: Json; tag: string },
): Json {
  const { name, summary, query, body, ids, answer, problems = [] } = operation
  const keys = [
    ...ANYWHERE,
    ...more.problems,
    ...(query ? (["request-invalid"] as const) : []),
    ...(body ? OF_BODIES : []),
    ...(operation.method === "get" ? [] : (["outcome-unknown"] as const)),
    ...Object.values(ids ?? {}),
    ...problems,
  ]
  return {
    operationId: name,
    summary,
    tags: [more.tag],
    parameters: [...pathParameters(operation), ...queryParameters(query), ...more.parameters],
    ...(body
      ? {
          requestBody: {
            required: true,
            content: { "application/json": { schema: toSchema(body, "input") } },
          },
        }
      : {}),
    responses: {
      [answer.status]: shown(answer.schema, "It is done."),
      ...more.answers,
      ...problemAnswers(keys),
    },
  }
}

/** How a request names its tenant, as far as OpenAPI can say it: of a host it knows nothing. */
function describeTenant({ header: name, sources }: Tenants): { parameters: Json[]; servers?: Json[] } {
  const id = { type: "string", format: "uuid" }
  const variables = { tenant: { default: "shopify", description: "The tenant's name." } }
  return {
    parameters: sources.has("header") ? [header(name, "The tenant's id.", id, sources.size === 1)] : [],
    ...(sources.has("path")
      ? { servers: [...(sources.size > 1 ? [{ url: "/" }] : []), { url: "/t/{tenant}", variables }] }
      : {}),
  }
}

function describeTenantOperation(operation: Operation, tenants: Tenants): Json {
  const { method, current, path } = operation
  const hasTag = current !== undefined
  const { parameters, ...servers } = describeTenant(tenants)
  const described = describe(operation, {
    tag: path.split("/")[1]!,
    parameters: [
      ...parameters,
      ...(method === "get" && hasTag ? [header("If-None-Match", "ETags that the caller has.")] : []),
      ...(method !== "get" && hasTag ? [IF_MATCH] : []),
      ...(method === "post"
        ? [header("Idempotency-Key", "The same for each repetition of one request.")]
        : []),
    ],
    problems: [
      ...OF_TENANTS,
      ...(method !== "get" && hasTag ? (["changed-meanwhile"] as const) : []),
      ...(method === "post" ? (["idempotency-key-reused"] as const) : []),
    ],
    answers: method === "get" && hasTag ? { 304: { description: "The caller has it already." } } : {},
  })
  return { ...described, ...servers }
}

const describeAdminOperation = (operation: AdminOperation): Json =>
  describe(operation, {
    tag: "tenants",
    parameters: operation.hasTag ? [IF_MATCH] : [],
    problems: ["not-administrator", ...(operation.hasTag ? (["changed-meanwhile"] as const) : [])],
    answers: operation.mayBeAccepted
      ? {
          202: shown(
            operation.mayBeAccepted,
            "It is declared, and will be done; Location says where to look.",
          ),
        }
      : {},
  })

const PROBLEM: Json = {
  type: "object",
  description: "RFC 9457 problem details. GET the type to read what it means.",
  required: ["type", "title", "status", "detail", "requestId"],
  properties: {
    type: { type: "string" },
    title: { type: "string" },
    status: { type: "integer" },
    detail: { type: "string" },
    requestId: { type: "string", format: "uuid" },
    errors: {
      type: "array",
      items: {
        type: "object",
        required: ["in", "field", "message"],
        properties: {
          in: { enum: ["body", "query"] },
          field: { type: "string" },
          message: { type: "string" },
        },
      },
    },
    carts: { type: "array", items: { type: "integer" } },
  },
}

type Tenants = Pick<TenantSettings, "header" | "sources">

export type OpenApiOptions = {
  tenants: Tenants
  /** Whether callers need a token. */
  isSecured: boolean
}

/** The document as JSON. */
export function describeApi(
  operations: readonly Operation[],
  admin: readonly AdminOperation[],
  { tenants, isSecured }: OpenApiOptions,
): Json {
  const paths: Record<string, Json> = {}
  for (const operation of operations)
    (paths[operation.path] ??= {})[operation.method] = describeTenantOperation(operation, tenants)
  for (const operation of admin)
    (paths[operation.path] ??= {})[operation.method] = describeAdminOperation(operation)
  return {
    openapi: "3.1.0",
    info: {
      title: "Tenantry",
      version: "1",
      description: "Each request is served from the database of the tenant that it names.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    paths,
    components: {
      schemas: { Problem: PROBLEM },
      ...(isSecured
        ? { securitySchemes: { token: { type: "http", scheme: "bearer", bearerFormat: "JWT" } } }
        : {}),
    },
    ...(isSecured ? { security: [{ token: [] }] } : {}),
  }
}
