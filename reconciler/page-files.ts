/** The status page's files, read once: a shell of HTML, style and scripts, all of them ours. */
import { createHash } from "node:crypto"
import { readdirSync, readFileSync } from "node:fs"
import path from "node:path"

export type PageFile = { type: string; body: Buffer; etag: string }

const FOLDER = path.join(import.meta.dirname, "page")
const TYPES: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
}

/** By name, such as "page.css". */
export const readPageFiles = (): ReadonlyMap<string, PageFile> =>
  new Map(
    readdirSync(FOLDER).flatMap((name) => {
      const type = TYPES[path.extname(name)]
      if (type === undefined) return []
      const body = readFileSync(path.join(FOLDER, name))
      const etag = `"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"`
      return [[name, { type, body, etag }] as const]
    }),
  )
