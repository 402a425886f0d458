import { createHash } from "node:crypto"
import { Problem } from "./problem.ts"
import type { Secret } from "./secret.ts"

const format = "tenantry-local-vault-1"

function digest(text: string): string {
  return createHash("sha256").update(format).update(text).digest("base64url")
}

/** A secret with all its versions as one opaque base64url text, fit to be restored into any local vault. */
export function pack(secret: Secret): string {
  const text = JSON.stringify({ name: secret.name, versions: secret.versions })
  return Buffer.from(JSON.stringify({ format, digest: digest(text), text })).toString("base64url")
}

/** The secret of a backup; throws 400 when the text is not whole. */
export function unpack(value: string): Secret {
  try {
    const { text, digest: given } = JSON.parse(Buffer.from(value, "base64url").toString()) as Record<
      string,
      string
    >
    if (text !== undefined && given === digest(text)) return JSON.parse(text) as Secret
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
  }
  throw new Problem(400, "BadParameter", "Backup blob contains invalid or corrupt version.")
}
