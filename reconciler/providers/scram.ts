/**
 * The keys of SCRAM-SHA-256, derived once per password: that takes 4096 rounds of HMAC, and who serves or changes many tenants
 * opens sessions of the same logins again and again. pg 8.23 derives them for every session, in jobs of Web Crypto
 * that each wait for a turn of the event loop. It looks these functions up in a module of its own, and has no
 * setting for them, so they are replaced there.
 */
import { createHash, createHmac, pbkdf2 } from "node:crypto"
import { createRequire } from "node:module"
import { promisify } from "node:util"
import { LRUCache } from "lru-cache"

/** As pg calls them, see pg/lib/crypto/sasl.js. */
type Steps = {
  deriveKey: (password: string, salt: Uint8Array, iterations: number) => Promise<Uint8Array>
  hmacSha256: (key: Uint8Array, text: string) => Uint8Array
  sha256: (data: Uint8Array) => Uint8Array
}

/** Passwords whose keys are remembered. */
const CAPACITY = 10_000
const KEY_LENGTH = 32

const derive = promisify(pbkdf2)

/** Has all sessions that pg opens from now on use remembered keys. */
export function rememberScramKeys(): void {
  const keys = new LRUCache<string, Promise<Uint8Array>>({ max: CAPACITY })
  const steps = createRequire(import.meta.url)("pg/lib/crypto/utils") as Steps
  steps.deriveKey = (password, salt, iterations) => {
    const login = createHash("sha256").update(`${iterations} `).update(salt).update(password).digest("base64")
    const known = keys.get(login)
    if (known) return known
    const key = derive(password, salt, iterations, KEY_LENGTH, "sha256")
    keys.set(login, key)
    key.catch(() => keys.delete(login))
    return key
  }
  steps.hmacSha256 = (key, text) => createHmac("sha256", key).update(text).digest()
  steps.sha256 = (data) => createHash("sha256").update(data).digest()
}
