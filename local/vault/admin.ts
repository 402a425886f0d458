import type { Faults } from "./armed.ts"
import { parseFault } from "./faults.ts"
import type { Caller } from "./identity.ts"
import { Problem, badParameter } from "./problem.ts"
import { jsonReply, parseJson, type Incoming, type Reply } from "./reply.ts"

/** Whether a path belongs to the fault switches. */
export function isAdmin(path: string): boolean {
  return path === "/_faults" || path.startsWith("/_faults/")
}

function idIn(path: string): number | undefined {
  const [, , id] = path.split("/")
  if (id === undefined) return undefined
  if (!/^[0-9]+$/.test(id)) throw badParameter(`no fault has the id ${id}`)
  return Number(id)
}

/**
 * The fault switches over HTTP, for the Secrets Officer: GET /_faults lists, POST /_faults with a fault adds it (201 with
 * its id), DELETE /_faults or /_faults/{id} switches off (204).
 */
export function administer(faults: Faults, caller: Caller, { method, url, body }: Incoming): Reply {
  if (caller.role !== "Key Vault Secrets Officer") {
    throw new Problem(403, "Forbidden", "Fault switches are for the Secrets Officer.", "ForbiddenByRbac")
  }
  const id = idIn(url.pathname)
  if (method === "DELETE") {
    faults.clear(id)
    return jsonReply(204)
  }
  if (method === "GET" && id === undefined) return jsonReply(200, { value: faults.list() })
  if (method === "POST" && id === undefined) {
    const fault = parseJson(body)
    try {
      return jsonReply(201, { id: faults.add(parseFault(fault)) })
    } catch (error) {
      throw badParameter(String(error))
    }
  }
  throw new Problem(501, "NotImplemented", `the local vault has no ${method} ${url.pathname}`)
}
