/** Credentials planted in every place where they can occur, and all that is said of them searched. */
import { once } from "node:events"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { inspect } from "node:util"
import { ClientSecretCredential } from "@azure/identity"
import { SecretClient, type SecretClientOptions } from "@azure/keyvault-secrets"
import { createApiClient } from "@neondatabase/api-client"
import { jwtVerify } from "jose"
import { Client } from "pg"
import { afterAll, beforeAll, expect, test } from "vitest"
import { z } from "zod"
import { forLog } from "../../api/failures.ts"
import { TransientError } from "../../reconciler/errors.ts"
import { createLogger, keepMadeSecret, keepSecret, redact, withLogFields } from "../../reconciler/log.ts"
import { neonError, NeonFailure } from "../../reconciler/providers/neon-errors.ts"
import { vaultError } from "../../reconciler/providers/vault-errors.ts"

const KEY = "napi_pl4ntedk3y0123456789"
const PASSWORD = "pl4nted-pa55word/with@odd:chars"
const ENCODED = encodeURIComponent(PASSWORD)
const CLIENT_SECRET = "pl4nted~client.secret-0123"
const JWT = `eyJhbGciOiJFUzI1NiJ9.${Buffer.from('{"sub":"pl4nted"}').toString("base64url")}.pl4ntedsignature0123`
const SESSION = "pl4ntedsessionid0123456789abcdefghijklmnopq"
const WEBHOOK = "whsec_pl4ntedwebhooksecret0123456789=="
const PEM = "-----BEGIN PRIVATE KEY-----\npl4ntedprivatekey\npl4ntedline2\n-----END PRIVATE KEY-----"
/** Every planted credential holds one of these. */
const MARK = /pl4nted/i

const server = createServer((request, response) => {
  // Echoes what it was sent, as a careless service or proxy does.
  const body = JSON.stringify({ message: "no", sent: request.headers, uri: `postgres://o:${ENCODED}@h/d` })
  response
    .writeHead(500, { "content-type": "application/json", "set-cookie": `tenantry-3001=${SESSION}` })
    .end(body)
})
let url: string
/** Real errors of every SDK that holds a credential. */
const errors: Record<string, unknown> = {}

const caught = async (run: () => unknown) => {
  try {
    await run()
  } catch (error) {
    return error
  }
  throw new Error("it was to fail")
}

beforeAll(async () => {
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const neon = createApiClient({ apiKey: KEY, baseURL: `${url}/api/v2` })
  const authority = new ClientSecretCredential(
    "00000000-0000-0000-0000-000000000001",
    "client",
    CLIENT_SECRET,
    {
      authorityHost: "https://127.0.0.1:9",
      disableInstanceDiscovery: true,
      retryOptions: { maxRetries: 0 },
    },
  )
  const credential = { getToken: () => Promise.resolve({ token: JWT, expiresOnTimestamp: Date.now() + 1e6 }) }
  const vault = new SecretClient("https://vault.example", credential, {
    retryOptions: { maxRetries: 0 },
    disableChallengeResourceVerification: true,
    httpClient: refusing,
  })
  const uri = `postgres://tenant_x_a:${ENCODED}@127.0.0.1:9/products-Ada`
  errors["neon"] = await caught(() => neon.listProjects({}))
  errors["identity"] = await caught(() => authority.getToken("https://vault.azure.net/.default"))
  errors["vault"] = await caught(() => vault.getSecret("tenant-x"))
  errors["postgres"] = Object.assign(
    (await caught(() => new Client({ connectionString: uri }).connect())) as Error,
    { uri },
  )
  errors["fetch"] = await caught(() =>
    fetch(`http://127.0.0.1:9/?sig=pl4ntedsignature`, { headers: { authorization: `Bearer ${JWT}` } }),
  )
  errors["jose"] = await caught(() =>
    jwtVerify(JWT, new Uint8Array(32)).catch((error: unknown) => {
      throw new Error(`cannot verify ${JWT}`, { cause: error })
    }),
  )
  errors["zod"] = await caught(() => z.object({ password: z.number() }).parse({ password: PASSWORD }))
  errors["cause"] = new Error("outer", { cause: new Error(`inner postgres://u:${PASSWORD}@h/d`) })
  errors["pem"] = new Error(PEM)
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})

/** A vault that asks for a token, is sent it, and fails. */
const refusing: NonNullable<SecretClientOptions["httpClient"]> = {
  sendRequest: (request) => {
    const Headers = request.headers.constructor as new (raw: object) => typeof request.headers
    const isAsked = request.headers.has("authorization")
    const challenge = `Bearer authorization="https://login.example/t", resource="https://vault.example"`
    const headers = new Headers(isAsked ? {} : { "www-authenticate": challenge })
    return Promise.resolve({
      request,
      headers,
      status: isAsked ? 500 : 401,
      bodyAsText: `{"error":{"message":"${JWT}"}}`,
    })
  },
}

/** Each way in which something gets into a line. */
const WAYS: Record<string, (log: ReturnType<typeof createLogger>, error: unknown) => void> = {
  "as err": (log, error) => log.error({ err: error }, "it failed"),
  "as error": (log, error) => log.error({ error }, "it failed"),
  "as the whole": (log, error) => log.error(error as Error),
  inspected: (log, error) =>
    log.error({ error: inspect(error, { depth: 12, showHidden: true }) }, "it failed"),
  "as JSON in JSON": (log, error) =>
    log.error({ error: JSON.stringify({ error, text: String(error) }) }, "it failed"),
  "as a message": (log, error) => log.error(`it failed: ${String((error as Error).stack)}`),
  "as the API does": (log, error) => log.error({ error: forLog(error) }, "a request failed"),
  "in a child": (log, error) => log.child({ error: inspect(error) }).warn("it failed"),
  "in the fields of a pass": (log, error) =>
    withLogFields({ cause: inspect(error) }, () => log.warn("it failed")),
}

test.for(["neon", "identity", "vault", "postgres", "fetch", "jose", "zod", "cause", "pem"])(
  "no line about an error of %s holds a credential, however it is logged",
  (name) => {
    const error = errors[name]
    expect(error).toBeDefined()
    for (const [way, write] of Object.entries(WAYS)) {
      const lines: string[] = []
      write(
        createLogger("test", (line) => lines.push(line)),
        error,
      )
      expect(lines, way).toHaveLength(1)
      expect(lines[0], `${name} ${way}`).not.toMatch(MARK)
      expect(() => JSON.parse(lines[0]!), `${name} ${way} is JSON`).not.toThrow()
    }
  },
)

test("the errors do hold what was planted, so there was something to take out", () => {
  const held = Object.entries(errors).filter(([, error]) =>
    MARK.test(inspect(error, { depth: 12, showHidden: true })),
  )
  expect(held.map(([name]) => name)).toEqual(
    expect.arrayContaining(["neon", "vault", "postgres", "jose", "cause", "pem"]),
  )
})

test("what becomes of the SDKs' errors holds none even before it is redacted", () => {
  let failure = new NeonFailure(undefined, "")
  try {
    NeonFailure.raise(errors["neon"])
  } catch (error) {
    failure = error as NeonFailure
  }
  const ours = [
    neonError("list the databases", failure),
    vaultError("read the secret", errors["vault"]),
    vaultError("read the secret", errors["identity"]),
  ]
  for (const error of ours) expect(inspect(error, { depth: 12, showHidden: true })).not.toMatch(MARK)
})

test.for<[string, string]>([
  ["an Authorization header", `authorization: Bearer ${JWT}`],
  ["basic authentication", `Authorization: Basic ${Buffer.from("u:pl4nted-password").toString("base64")}`],
  [
    "headers as a list",
    JSON.stringify(["Cookie", `a=b; tenantry-3001=${SESSION}`, "X-IDENTITY-HEADER", "pl4nted-header-value"]),
  ],
  [
    "headers as an object",
    inspect({ headers: { cookie: `tenantry-3001=${SESSION}`, "x-identity-header": "pl4ntedheadervalue" } }),
  ],
  ["a token alone", `the token ${JWT} is not valid`],
  ["a proxy's address", "http://user:pl4ntedpassword@proxy:3128/"],
  ["an address with a signature", "https://x.blob.core.windows.net/c?sv=1&sig=pl4ntedsig%3D&se=2"],
  ["a storage account", "AccountName=x;AccountKey=pl4ntedaccountkey==;EndpointSuffix=y"],
  [
    "an environment",
    `NEON_API_KEY=${KEY} EVENTS_WEBHOOK_SECRET=${WEBHOOK} AZURE_CLIENT_SECRET=${CLIENT_SECRET}`,
  ],
  ["keys by their prefix", `${KEY} and ${WEBHOOK}`],
  ["a private key", PEM],
])("%s loses its credential", ([, text]) => {
  expect(text).toMatch(/pl4nted|cGw0bnRlZC|dTpwbDRudGVk/)
  expect(redact(text)).not.toMatch(/pl4nted|dTpwbDRudGVk/)
})

test("addresses without a credential stay as they are", () => {
  for (const text of [
    "http://localhost:3001/tenants?email=ada@example.com",
    "https://vault.example:8443/secrets/x?api-version=2026-04-01",
    "ada@example.com: postgres://127.0.0.1:5432/products-Ada",
  ])
    expect(redact(text)).toBe(text)
})

test("of the credentials that we made, the newest thousand are looked for; those of the settings always are", () => {
  keepSecret("the-key-of-the-settings")
  keepMadeSecret("made-first-of-all")
  expect(redact("made-first-of-all")).toBe("***")
  for (let n = 0; n < 1000; n++) keepMadeSecret(`made-${n}-of-many`)
  expect(redact("made-first-of-all made-0-of-many made-999-of-many the-key-of-the-settings")).toBe(
    "made-first-of-all *** *** ***",
  )
})

test("each line of a pass or a request says which one it belongs to, also in what it started", async () => {
  const lines: string[] = []
  const log = createLogger("test", (line) => lines.push(line))
  await withLogFields({ pass: "one" }, async () => {
    await Promise.resolve()
    withLogFields({ requestId: "two" }, () => log.info("inner"))
    setTimeout(() => log.info("later"), 1)
  })
  log.info("outer")
  await expect.poll(() => lines).toHaveLength(3)
  const said = Object.fromEntries(
    lines.map((line) => JSON.parse(line) as { msg: string }).map((line) => [line.msg, line]),
  )
  expect(said["inner"]).toMatchObject({ pass: "one", requestId: "two" })
  expect(said["later"]).toMatchObject({ pass: "one" })
  expect(said["outer"]).not.toHaveProperty("pass")
  expect(new TransientError("Why", "how")).not.toHaveProperty("cause")
})
