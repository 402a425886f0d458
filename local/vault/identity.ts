import { createHmac, randomBytes, randomUUID, timingSafeEqual } from "node:crypto"
import { existsSync, readFileSync } from "node:fs"
import { z } from "zod"
import { replaceFile } from "./journal.ts"
import type { Role } from "./roles.ts"

const kept = z.object({
  tenant: z.uuid(),
  header: z.string().min(1),
  key: z.string().min(1),
  clients: z.object({ api: z.uuid(), reconciler: z.uuid() }),
})

/** What the identity endpoint and the vault share; kept in a file, so that tokens outlive a restart as on Azure. */
export type Directory = z.infer<typeof kept> & { roles: ReadonlyMap<string, Role> }

/** An access token and the moment it ends, in unix seconds. */
export type Token = { token: string; expiresOn: number }

/** Who calls the vault. */
export type Caller = { clientId: string; role: Role }

/** Reads the client ids and keys of `file` (mode 0600), or makes them; `more` are further clients with their roles. */
export function openDirectory(file: string, more: ReadonlyMap<string, Role>): Directory {
  if (!existsSync(file)) {
    const fresh: z.infer<typeof kept> = {
      tenant: randomUUID(),
      header: randomBytes(24).toString("base64url"),
      key: randomBytes(32).toString("base64url"),
      clients: { api: randomUUID(), reconciler: randomUUID() },
    }
    replaceFile(file, JSON.stringify(fresh))
  }
  const read = kept.safeParse(JSON.parse(readFileSync(file, "utf8")))
  if (!read.success) throw new Error(`${file} is damaged: remove it, and clients get new ids and tokens`)
  const roles = new Map<string, Role>([
    [read.data.clients.api, "Key Vault Secrets User"],
    [read.data.clients.reconciler, "Key Vault Secrets Officer"],
    ...more,
  ])
  return { ...read.data, roles }
}

function part(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url")
}

function signature(directory: Directory, text: string): Buffer {
  return createHmac("sha256", directory.key).update(text).digest()
}

/** Makes a token for a client; `now` in milliseconds. The claims are those of an Azure access token that are checked. */
export function issue(
  directory: Directory,
  claims: { clientId: string; resource: string; seconds: number },
  now: number,
): Token {
  const iat = Math.floor(now / 1000)
  const exp = iat + claims.seconds
  const iss = `https://sts.windows.net/${directory.tenant}/`
  const payload = { aud: claims.resource, iss, iat, nbf: iat, exp, appid: claims.clientId, jti: randomUUID() }
  const text = `${part({ alg: "HS256", typ: "JWT" })}.${part(payload)}`
  return { token: `${text}.${signature(directory, text).toString("base64url")}`, expiresOn: exp }
}

/** The caller of an Authorization header, or why it is nobody: the words after the service's AKV10000. */
export function callerOf(directory: Directory, header: string | undefined, now: number): Caller | string {
  const [scheme, token = ""] = (header ?? "").split(" ")
  if (scheme?.toLowerCase() !== "bearer") return "Request is missing a Bearer or PoP token."
  const [head = "", body = "", sign = ""] = token.split(".")
  const given = Buffer.from(sign, "base64url")
  const right = signature(directory, `${head}.${body}`)
  if (given.length !== right.length || !timingSafeEqual(given, right)) return "Error validating token."
  const claims = JSON.parse(Buffer.from(body, "base64url").toString()) as Record<string, unknown>
  if (typeof claims["exp"] !== "number" || claims["exp"] * 1000 <= now) return "Token is expired."
  if (!/^https:\/\/vault\.azure\.net\/?$/.test(String(claims["aud"]))) return "Invalid audience."
  const clientId = String(claims["appid"])
  const role = directory.roles.get(clientId)
  return role === undefined ? "The client of the token is not known." : { clientId, role }
}
