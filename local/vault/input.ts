import { z } from "zod"
import { badParameter } from "./problem.ts"

const maxValueBytes = 25 * 1024
const maxTags = 15
const maxTagLength = 256

const tags = z
  .record(z.string().max(maxTagLength), z.string().max(maxTagLength))
  .refine((given) => Object.keys(given).length <= maxTags, `more than ${maxTags} tags`)
  .refine((given) => !Object.hasOwn(given, ""), "a tag without a name")

const changes = {
  contentType: z.string().max(255).nullish(),
  tags: tags.nullish(),
  attributes: z
    .object({
      enabled: z.boolean().nullish(),
      nbf: z.number().int().nullish(),
      exp: z.number().int().nullish(),
    })
    .nullish(),
}

const setBody = z.object({
  value: z
    .string()
    .refine((value) => Buffer.byteLength(value) <= maxValueBytes, `longer than ${maxValueBytes} bytes`),
  ...changes,
})
const updateBody = z.object(changes)
const restoreBody = z.object({ value: z.string().min(1) })

function parse<T>(schema: z.ZodType<T>, body: unknown): T {
  const result = schema.safeParse(body)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  throw badParameter(`Property ${issue?.path.join(".") ?? ""} has invalid value: ${issue?.message ?? ""}`)
}

/** What a PUT of a secret carries, within the limits of the service: 25 kB, 15 tags of 256 characters. */
export function parseSet(body: unknown): z.infer<typeof setBody> {
  return parse(setBody, body)
}

/** What a PATCH of a secret's properties carries. */
export function parseUpdate(body: unknown): z.infer<typeof updateBody> {
  return parse(updateBody, body)
}

/** What a restore carries: the backup, in base64url. */
export function parseRestore(body: unknown): z.infer<typeof restoreBody> {
  return parse(restoreBody, body)
}

/** Throws 400 unless the name is one that the service takes. */
export function checkName(name: string): void {
  if (!/^[0-9a-zA-Z-]{1,127}$/.test(name)) {
    throw badParameter(`The request URI contains an invalid name: ${name}`)
  }
}

const apiVersions = new Set(
  "2016-10-01 7.0 7.1 7.2 7.3 7.4 7.5 7.6 2025-06-01-preview 2025-07-01 2026-04-01".split(" "),
)

/** The api-version of a call; throws 400 when it is missing or unknown. */
export function apiVersionOf(query: URLSearchParams): string {
  const version = query.get("api-version")
  if (version === null || version === "") throw badParameter("api-version must be specified")
  if (!apiVersions.has(version)) {
    throw badParameter(`The specified version (${version}) is not recognized.`)
  }
  return version
}
