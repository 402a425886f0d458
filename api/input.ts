/** What comes in, checked at the edge: bodies, query strings, ids in paths, and texts. */
import { isUtf8 } from "node:buffer"
import express, { type Request, type Response } from "express"
import { z } from "zod"
import { KeyRepeated, parseJson } from "./json.ts"
import { Problem, type ProblemKey } from "./problems.ts"

/** Bytes. */
export const MAX_BODY = 100_000
/** Characters of a sender's key that an answer quotes. */
const MAX_SHOWN = 100

const readRaw = express.raw({ limit: MAX_BODY, inflate: false, type: isJson })

function isJson(request: { headers: { "content-type"?: string | undefined } }): boolean {
  const [media, ...parameters] = (request.headers["content-type"] ?? "").toLowerCase().split(";")
  const charset = parameters.map((parameter) => parameter.trim()).find((one) => one.startsWith("charset="))
  return (
    /^application\/(?:[a-z0-9.-]+\+)?json$/.test(media!.trim()) &&
    (charset === undefined || /^charset="?utf-8"?$/.test(charset))
  )
}

/** The request's JSON body as `schema` says. Throws the Problem that says what is wrong with it. */
export async function readBody<T>(request: Request, response: Response, schema: z.ZodType<T>): Promise<T> {
  await new Promise<void>((resolve, reject) => {
    readRaw(request, response, (error?: unknown) =>
      error === undefined || error === null ? resolve() : reject(error),
    )
  })
  const body: unknown = request.body
  if (!Buffer.isBuffer(body)) {
    const hasBody =
      request.headers["transfer-encoding"] !== undefined || Number(request.headers["content-length"]) > 0
    throw hasBody
      ? new Problem("body-not-json", "the body's Content-Type is not application/json in UTF-8")
      : new Problem("body-malformed", "the body is missing")
  }
  if (!isUtf8(body)) throw new Problem("body-malformed", "the body is not valid UTF-8")
  return check(parse(body.toString("utf8")), schema, "body")
}

function parse(body: string): unknown {
  try {
    return parseJson(body)
  } catch (error) {
    throw new Problem(
      "body-malformed",
      error instanceof KeyRepeated
        ? `the body says ${error.key.slice(0, MAX_SHOWN)} twice in one object`
        : "the body is not valid JSON",
    )
  }
}

/** The query string as `schema` says. */
export const readQuery = <T>(request: Request, schema: z.ZodType<T>): T =>
  check(request.query, schema, "query")

/** The id in the path under `name`. What cannot be an id names nothing: that is the Problem `absent`. */
export function readId(request: Request, name: string, absent: ProblemKey): number {
  const text = String(request.params[name])
  const id = Number(text)
  if (!/^[1-9]\d*$/.test(text) || !Number.isSafeInteger(id))
    throw new Problem(absent, "the id is no positive whole number")
  return id
}

function check<T>(value: unknown, schema: z.ZodType<T>, where: "body" | "query"): T {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const errors = result.error.issues.slice(0, 20).flatMap((issue) => {
    const path = issue.path.map(String).join(".")
    return issue.code === "unrecognized_keys"
      ? issue.keys.map((key) => ({
          in: where,
          field: [path, key].filter(Boolean).join(".").slice(0, MAX_SHOWN),
          message: "is not known",
        }))
      : [{ in: where, field: path, message: issue.message }]
  })
  throw invalidInput(where, errors)
}

/** The Problem that names what is wrong. `field`: a path with dots, empty for the whole. */
export function invalidInput(
  where: "body" | "query",
  errors: readonly { in: string; field: string; message: string }[],
): Problem {
  const named = errors.map(({ field, message }) => (field ? `${field} ${message}` : message)).join("; ")
  return new Problem("request-invalid", `the ${where} is not valid: ${named}`.slice(0, 500), {
    members: { errors: errors.slice(0, 20) },
  })
}

/** A text that Postgres can hold as it is: no NUL, no half of a surrogate pair. Lengths are in UTF-16 units. */
export const text = (min: number, max: number) =>
  z
    .string({ error: "must be text" })
    .min(min, {
      error: min === 1 ? "must not be empty" : `must have at least ${min} characters`,
      abort: true,
    })
    .max(max, { error: `must have at most ${max} characters`, abort: true })
    .refine((value) => !value.includes("\0") && value.isWellFormed(), {
      error: "must be well-formed text without NUL",
    })

/** A row's id in JSON. */
export const Id = z
  .int({ error: "must be a positive whole number" })
  .positive({ error: "must be a positive whole number" })
