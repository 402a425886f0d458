import { existsSync, readFileSync } from "node:fs"
import type { Directory } from "./identity.ts"

/**
 * Throws when a vault runs already on the same folder: two would overwrite each other's journal. `file` holds the address
 * of the identity endpoint of the last one; only one of this folder's answers to this folder's header, so a file left by
 * a crash is no hindrance.
 */
export async function refuseSecond(file: string, { header, clients }: Directory): Promise<void> {
  if (!existsSync(file)) return
  const query = `api-version=2019-08-01&resource=https://vault.azure.net&client_id=${clients.api}`
  let answers: boolean
  try {
    const response = await fetch(`${readFileSync(file, "utf8")}?${query}`, {
      headers: { "X-IDENTITY-HEADER": header },
      signal: AbortSignal.timeout(2000),
    })
    await response.body?.cancel()
    answers = response.ok
  } catch {
    answers = false
  }
  if (answers) throw new Error(`a local vault runs already on this folder, see ${file}: stop it first`)
}
