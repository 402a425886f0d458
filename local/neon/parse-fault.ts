/** Reads a fault that came over HTTP. */
import { DEFAULT_ROUTES, isFaultRoute, type Fault, type FaultKind } from "./faults.ts"

type FieldType = "string" | "boolean" | "count"
type Fields = Record<string, { type: FieldType; required?: boolean }>

const acted: Fields = { acted: { type: "boolean" } }
const named: Fields = { name: { type: "string", required: true } }

/** The fields that each kind has besides `route`, `project`, `after` and `times`. */
const FIELDS: Record<FaultKind, Fields> = {
  locked: {},
  "rate-limited": { retryAfter: { type: "count" } },
  unavailable: {},
  "bad-gateway": acted,
  "gateway-timeout": acted,
  delay: { delayMs: { type: "count", required: true }, ...acted },
  "drop-before": {},
  "drop-after": {},
  "truncated-json": {},
  "not-found": acted,
  "no-content": {},
  "operation-failed": acted,
  "operation-stuck": acted,
  "operation-error": { retryMs: { type: "count" } },
  "operation-cancelled": {},
  "background-lock": { lockMs: { type: "count", required: true } },
  "stale-list": {},
  "truncated-list": { keep: { type: "count" } },
  "branch-replaced": { branchId: { type: "string" } },
  "ids-replaced": {},
  "made-by-sql": named,
  "dropped-by-sql": named,
  "low-limit": { limit: { type: "count", required: true } },
  "key-revoked": {},
}

/** Returns the fault that a parsed JSON value describes; throws an Error that names the field and what it must be. */
export function parseFault(value: unknown): Fault {
  if (typeof value !== "object" || value === null)
    throw new Error("a fault must be a JSON object with a kind")
  const given = value as Record<string, unknown>
  const kind = given["kind"]
  if (typeof kind !== "string" || !Object.hasOwn(DEFAULT_ROUTES, kind)) {
    throw new Error(`kind must be one of ${Object.keys(DEFAULT_ROUTES).join(", ")}`)
  }
  const fields: Fields = {
    ...FIELDS[kind as FaultKind],
    project: { type: "string" },
    after: { type: "count" },
    times: { type: "count" },
  }
  for (const key of Object.keys(given)) {
    if (key !== "kind" && key !== "route" && !Object.hasOwn(fields, key)) {
      throw new Error(`${kind} has no field "${key}"; it has ${["route", ...Object.keys(fields)].join(", ")}`)
    }
  }
  for (const [key, field] of Object.entries(fields)) checkField(kind, key, given[key], field)
  if (given["times"] === 0) throw new Error("times must be at least 1")
  if (given["route"] !== undefined && !isFaultRoute(given["route"])) {
    throw new Error(`route must be "any", "reads", "mutations" or an operationId that the stand-in serves`)
  }
  return given as Fault
}

function checkField(
  kind: string,
  key: string,
  value: unknown,
  field: { type: FieldType; required?: boolean },
): void {
  if (value === undefined) {
    if (field.required) throw new Error(`${kind} needs the field "${key}"`)
    return
  }
  const isRight =
    field.type === "count" ? Number.isInteger(value) && (value as number) >= 0 : typeof value === field.type
  if (!isRight) {
    throw new Error(`${key} must be a ${field.type === "count" ? "whole number, 0 or more" : field.type}`)
  }
}
