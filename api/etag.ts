/** ETag, If-Match and If-None-Match (RFC 9110): whether the thing is still what the caller has seen. */
import { createHash } from "node:crypto"
import type { Request } from "express"
import { Problem } from "./problems.ts"

/** The tag of a row that counts its changes. */
export const versionTag = (version: number): string => `"v${version}"`

/** The tag of what is put together from several rows: a digest of what is shown. */
export const digestTag = (body: unknown): string =>
  `"${createHash("sha256").update(JSON.stringify(body)).digest("base64url").slice(0, 27)}"`

/** Tags that a header names, without W/; "any" for `*`. */
export type Tags = "any" | ReadonlySet<string>

const ENTITY_TAG = /^(?:W\/)?"[\x21\x23-\x7e]{0,100}"$/
const MAX_TAGS = 20

/** The header's tags; undefined where it is not sent. A weak tag never fits If-Match. Throws Problem. */
export function readTags(request: Request, header: "if-match" | "if-none-match"): Tags | undefined {
  const text = request.headersDistinct[header]?.join(",")
  if (text === undefined) return undefined
  if (text.trim() === "*") return "any"
  const tags = text.split(",", MAX_TAGS + 1).map((tag) => tag.trim())
  if (tags.length > MAX_TAGS || !tags.every((tag) => ENTITY_TAG.test(tag)))
    throw new Problem("request-malformed", `the header ${header} is not * or a list of up to 20 quoted ETags`)
  return new Set(
    header === "if-match"
      ? tags.filter((tag) => !tag.startsWith("W/"))
      : tags.map((tag) => tag.replace(/^W\//, "")),
  )
}

/** What who comes too late is told: the tag that the thing has now. */
export const changedMeanwhile = (etag: string): Problem =>
  new Problem("changed-meanwhile", "it is no longer what If-Match names", { etag })

export const matches = (tags: Tags, etag: string): boolean => tags === "any" || tags.has(etag)
