/** A development issuer of tokens: OpenID Connect discovery, a key set, and a private key that stays on this machine. */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomUUID,
  sign,
} from "node:crypto"
import { once } from "node:events"
import { mkdir, readFile, writeFile } from "node:fs/promises"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import path from "node:path"

/** Whom the tokens are for. */
export const AUDIENCE = "tenantry"

type Claims = { sub: string; tenants?: string[]; scope?: string }

export type Issuer = {
  url: string
  /** The variables with which the API accepts its tokens. */
  environment: Record<string, string>
  /** Signs by a new key from now on; `keepOld` shows the keys of before too. */
  rotate: (keepOld: boolean) => void
  /** A token by the newest key. `claims` may name any claim, also those that it would fill in itself. */
  mint: (claims: Claims & Record<string, unknown>, lifetime?: number) => string
  /** How often the key set was asked for. */
  reads: () => number
  close: () => Promise<void>
}

type Key = { kid: string; privateKey: KeyObject }

const newKey = (): Key => ({
  kid: randomUUID(),
  privateKey: generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey,
})

/** Listens on loopback at `port`, or at any that is free. Throws where the port is taken. */
export async function startIssuer({
  port = 0,
  key = newKey(),
}: { port?: number; key?: Key } = {}): Promise<Issuer> {
  const keys = [key]
  let reads = 0
  const server = createServer((request, response) => {
    const answer = pages()[request.url ?? ""]
    response.writeHead(answer ? 200 : 404, { "Content-Type": "application/json" })
    response.end(JSON.stringify(answer?.() ?? { error: "not_found" }))
  })
  server.listen(port, "127.0.0.1")
  await once(server, "listening")
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  const pages = (): Record<string, () => unknown> => ({
    "/.well-known/openid-configuration": () => ({
      issuer: url,
      jwks_uri: `${url}/keys`,
      id_token_signing_alg_values_supported: ["ES256"],
    }),
    "/keys": () => {
      reads++
      return { keys: keys.map(publicJwk) }
    },
  })

  return {
    url,
    environment: { OIDC_ISSUER: url, OIDC_AUDIENCE: AUDIENCE },
    rotate(keepOld) {
      if (!keepOld) keys.length = 0
      keys.push(newKey())
    },
    mint: (claims, lifetime) => mintToken(url, keys.at(-1)!, claims, lifetime),
    reads: () => reads,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, "close")
    },
  }
}

function publicJwk({ kid, privateKey }: Key) {
  return { ...createPublicKey(privateKey).export({ format: "jwk" }), kid, alg: "ES256", use: "sig" }
}

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url")

/** A token that is valid for `lifetime` seconds, an hour when not given. */
function mintToken(issuer: string, { kid, privateKey }: Key, claims: Claims, lifetime = 3600): string {
  const now = Math.floor(Date.now() / 1000)
  const head = encode({ alg: "ES256", typ: "JWT", kid })
  const body = encode({ iss: issuer, aud: AUDIENCE, iat: now, exp: now + lifetime, ...claims })
  const signature = sign("sha256", Buffer.from(`${head}.${body}`), {
    key: privateKey,
    dsaEncoding: "ieee-p1363",
  })
  return `${head}.${body}.${signature.toString("base64url")}`
}

type Kept = { issuer: string; kid: string; pem: string }
const fileOf = (home: string) => path.join(home, "issuer.json")

/** Starts the issuer of a home, with the address and the key that it had there before. Only its owner reads the key. */
export async function startKeptIssuer(home: string): Promise<Issuer> {
  const kept = await readKept(home)
  const key = kept ? { kid: kept.kid, privateKey: createPrivateKey(kept.pem) } : newKey()
  const issuer = await startIssuer({ key, ...(kept ? { port: Number(new URL(kept.issuer).port) } : {}) })
  const pem = key.privateKey.export({ type: "pkcs8", format: "pem" }).toString()
  await mkdir(home, { recursive: true })
  await writeFile(fileOf(home), JSON.stringify({ issuer: issuer.url, kid: key.kid, pem }), { mode: 0o600 })
  return issuer
}

/** What `startKeptIssuer` left in this home; undefined where it never ran. */
async function readKept(home: string): Promise<Kept | undefined> {
  try {
    return JSON.parse(await readFile(fileOf(home), "utf8")) as Kept
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined
    throw error
  }
}

/** A token of this home's issuer, which need not be running. Throws where the issuer never ran. */
export async function mintFromHome(home: string, claims: Claims, lifetime?: number): Promise<string> {
  const kept = await readKept(home)
  if (!kept) throw new Error('there is no issuer yet: start one with "npm start -- --auth"')
  const key = { kid: kept.kid, privateKey: createPrivateKey(kept.pem) }
  return mintToken(kept.issuer, key, claims, lifetime)
}
