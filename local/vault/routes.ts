import { checkName } from "./input.ts"
import { Problem } from "./problem.ts"

/** The operations of the secrets data plane, by the names that Key Vault's own audit log gives them. */
export type Operation =
  | "SecretSet"
  | "SecretGet"
  | "SecretUpdate"
  | "SecretDelete"
  | "SecretList"
  | "SecretListVersions"
  | "SecretListDeleted"
  | "SecretGetDeleted"
  | "SecretRecover"
  | "SecretPurge"
  | "SecretBackup"
  | "SecretRestore"

/** A request as the vault understands it. */
export type Route = { operation: Operation; name?: string; version?: string }

function notImplemented(method: string, path: string): Problem {
  return new Problem(
    501,
    "NotImplemented",
    `the local vault has no ${method} ${path}: it speaks secrets only`,
  )
}

function onSecrets(method: string, rest: string[]): Route | undefined {
  const [name, second, ...more] = rest
  if (more.length > 0) return undefined
  if (name === undefined) return method === "GET" ? { operation: "SecretList" } : undefined
  if (method === "POST" && name === "restore" && second === undefined) return { operation: "SecretRestore" }
  if (method === "POST" && second === "backup") return { operation: "SecretBackup", name }
  if (method === "GET" && second === "versions") return { operation: "SecretListVersions", name }
  const version = second === undefined || second === "" ? {} : { version: second }
  if (method === "GET") return { operation: "SecretGet", name, ...version }
  if (method === "PATCH") return { operation: "SecretUpdate", name, ...version }
  if (second !== undefined) return undefined
  if (method === "PUT") return { operation: "SecretSet", name }
  if (method === "DELETE") return { operation: "SecretDelete", name }
  return undefined
}

function onDeletedSecrets(method: string, rest: string[]): Route | undefined {
  const [name, second, ...more] = rest
  if (more.length > 0) return undefined
  if (name === undefined) return method === "GET" ? { operation: "SecretListDeleted" } : undefined
  if (method === "POST" && second === "recover") return { operation: "SecretRecover", name }
  if (second !== undefined) return undefined
  if (method === "GET") return { operation: "SecretGetDeleted", name }
  if (method === "DELETE") return { operation: "SecretPurge", name }
  return undefined
}

/**
 * Reads method and path. Throws 501 for what is not the secrets data plane, 405 for an empty secret name, 400 for a name
 * that the service refuses.
 */
export function routeOf(method: string, path: string): Route {
  const [, collection, ...rest] = path.split("/").map((segment) => decodeURIComponent(segment))
  if (collection !== "secrets" && collection !== "deletedsecrets") throw notImplemented(method, path)
  if (rest[0] === "") {
    if (rest.length > 1) throw notImplemented(method, path)
    if (method !== "GET") throw new Problem(405, "MethodNotAllowed", `HTTP ${method} not allowed`)
    rest.pop()
  }
  const route = collection === "secrets" ? onSecrets(method, rest) : onDeletedSecrets(method, rest)
  if (route === undefined) throw notImplemented(method, path)
  if (route.name !== undefined) checkName(route.name)
  return route
}
