import { readFileSync } from "node:fs"

/** Connection strings by tenant, from the file that URIS_FILE names. */
export const readUris = (): Map<string, string> =>
  new Map(
    Object.entries(JSON.parse(readFileSync(process.env["URIS_FILE"]!, "utf8")) as Record<string, string>),
  )
