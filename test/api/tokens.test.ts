import { createHmac, createPublicKey, generateKeyPairSync, sign } from "node:crypto"
import { once } from "node:events"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { afterAll, beforeAll, expect, test } from "vitest"
import { believeTokens } from "../../api/tokens.ts"
import type { TokenSettings } from "../../reconciler/providers/tokens.ts"
import { type Issuer, startIssuer } from "../../local/issuer.ts"
import { tokenSettings } from "../token-settings.ts"
import { type Api, newTenantId, startWorld, type TestTenant, type World } from "./world.ts"

let world: World
let api: Api
let issuer: Issuer
let shop: TestTenant
let other: TestTenant

const settings = (change: Partial<TokenSettings> = {}): TokenSettings => ({
  ...tokenSettings(issuer),
  algorithms: ["RS256", "ES256", "EdDSA"],
  ...change,
})

beforeAll(async () => {
  world = await startWorld()
  issuer = await startIssuer()
  shop = await world.addTenant("Shop", { seed: true })
  other = await world.addTenant("Other")
  api = await world.serve({ authenticate: (log) => believeTokens(settings(), log) })
}, 60_000)
afterAll(async () => {
  await api?.close()
  await issuer?.close()
  await world?.close()
})

const claims = () => ({ sub: "ada", tenants: [shop.id] })
const ask = (token: string | undefined, tenant: { id: string } = shop, from = api) =>
  from.call(
    tenant,
    "GET",
    "/products/1",
    undefined,
    token === undefined ? {} : { Authorization: `Bearer ${token}` },
  )

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url")
const partsOf = (token: string) => token.split(".") as [string, string, string]
const decode = (part: string) =>
  JSON.parse(Buffer.from(part, "base64url").toString()) as Record<string, unknown>
const publicPem = async (): Promise<string> => {
  const { keys } = (await (await fetch(`${issuer.url}/keys`)).json()) as { keys: Record<string, string>[] }
  return createPublicKey({ key: keys.at(-1)!, format: "jwk" })
    .export({ type: "spki", format: "pem" })
    .toString()
}

test("a token of the issuer for this tenant is let in, and no other tenant is opened by it", async () => {
  const token = issuer.mint(claims())
  expect((await ask(token)).status).toBe(200)
  for (const tenant of [other, { id: newTenantId() }]) {
    expect(await ask(token, tenant)).toMatchObject({
      status: 403,
      body: { type: "/problems/tenant-forbidden" },
    })
  }
  expect((await ask(issuer.mint({ sub: "bea", tenants: [shop.id, other.id] }), other)).status).toBe(404)
})

test("without a token nobody learns which tenants there are", async () => {
  const before = api.vaultReads()
  for (const tenant of [shop, { id: newTenantId() }]) {
    const answer = await ask(undefined, tenant)
    expect(answer).toMatchObject({ status: 401, body: { type: "/problems/token-missing" } })
    expect(answer.headers.get("www-authenticate")).toBe("Bearer")
  }
  expect(api.vaultReads()).toBe(before)
  expect((await api.send("/livez")).status).toBe(200)
})

const now = () => Math.floor(Date.now() / 1000)
const strangers = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey
const signed = (head: unknown, body: unknown, key = strangers) => {
  const input = `${encode(head)}.${encode(body)}`
  return `${input}.${sign("sha256", Buffer.from(input), { key, dsaEncoding: "ieee-p1363" }).toString("base64url")}`
}
const ATTACKS: [string, () => string | Promise<string>][] = [
  ["that is over", () => issuer.mint(claims(), -60)],
  ["without an end", () => issuer.mint({ ...claims(), exp: undefined })],
  ["without a subject", () => issuer.mint({ ...claims(), sub: undefined as unknown as string })],
  ["that is not valid yet", () => issuer.mint({ ...claims(), nbf: now() + 600 })],
  ["for another audience", () => issuer.mint({ ...claims(), aud: "somebody-else" })],
  ["of another issuer", () => issuer.mint({ ...claims(), iss: "https://evil.example" })],
  [
    "whose claims were changed",
    () => {
      const [head, , signature] = partsOf(issuer.mint({ sub: "eve", tenants: [] }))
      return `${head}.${encode({ ...decode(partsOf(issuer.mint(claims()))[1]) })}.${signature}`
    },
  ],
  [
    "without a signature",
    () => {
      const [head, body] = partsOf(issuer.mint(claims()))
      return `${head}.${body}.`
    },
  ],
  [
    "that says alg none",
    () => {
      const [, body] = partsOf(issuer.mint(claims()))
      return `${encode({ alg: "none", typ: "JWT" })}.${body}.`
    },
  ],
  [
    "signed with HS256 and the public key as the secret",
    async () => {
      const [head, body] = partsOf(issuer.mint(claims()))
      const input = `${encode({ ...decode(head), alg: "HS256" })}.${body}`
      return `${input}.${createHmac("sha256", await publicPem())
        .update(input)
        .digest("base64url")}`
    },
  ],
  [
    "by a stranger's key under the issuer's kid",
    () => {
      const [head, body] = partsOf(issuer.mint(claims()))
      return signed(decode(head), decode(body))
    },
  ],
  ...["../../../../dev/null", "' or 1=1 --", "x".repeat(5000)].map((kid): [string, () => string] => [
    `whose kid is ${kid.slice(0, 20)}`,
    () => signed({ alg: "ES256", kid }, decode(partsOf(issuer.mint(claims()))[1])),
  ]),
  [
    "that brings its own key along",
    () => {
      const jwk = createPublicKey(strangers).export({ format: "jwk" })
      return signed(
        { alg: "ES256", jwk, jku: "http://127.0.0.1:1/keys", x5u: "http://127.0.0.1:1/" },
        decode(partsOf(issuer.mint(claims()))[1]),
      )
    },
  ],
  [
    "with a critical extension that nobody knows",
    () => {
      const [head, body] = partsOf(issuer.mint(claims()))
      return signed({ ...decode(head), crit: ["x"], x: 1 }, decode(body))
    },
  ],
  ["that is no token", () => "a.b.c"],
]

test.each(ATTACKS)("a token %s is refused", async (_, make) => {
  const answer = await ask(await make())
  expect(answer).toMatchObject({ status: 401, body: { type: "/problems/token-invalid" } })
  expect(answer.headers.get("www-authenticate")).toBe('Bearer error="invalid_token"')
})

test.each([
  ["a name", ["Shop"]],
  ["nothing", undefined],
  ["everything", ["*"]],
  ["a number", 7],
  ["an object", { [0]: "x" }],
])("a tenant claim that holds %s opens nothing", async (_, tenants) => {
  expect((await ask(issuer.mint({ sub: "ada", tenants: tenants as string[] }))).status).toBe(403)
})

test("the header is sent once, and is a Bearer token", async () => {
  const token = issuer.mint(claims())
  for (const authorization of [
    `Basic ${token}`,
    `Bearer ${token} x`,
    `Bearer ${"x".repeat(20_000)}.a.b`,
    "Bearer",
  ]) {
    const answer = await api.call(shop, "GET", "/products/1", undefined, { Authorization: authorization })
    expect([400, 401, 431]).toContain(answer.status)
  }
})

test("a clock that is off by less than the skew is forgiven, and by more is not", async () => {
  expect((await ask(issuer.mint(claims(), -2))).status).toBe(200)
  expect((await ask(issuer.mint(claims(), -30))).status).toBe(401)
})

test("new keys of the issuer are found, old ones end, and unknown ones do not make it ask all the time", async () => {
  const rotating = await startIssuer()
  const patient = await world.serve({
    authenticate: (log) => believeTokens(settings({ issuer: rotating.url, keyInterval: 600_000 }), log),
  })
  const eager = await world.serve({
    authenticate: (log) => believeTokens(settings({ issuer: rotating.url, keyInterval: 0 }), log),
  })
  const old = rotating.mint(claims())
  for (const one of [patient, eager]) expect((await ask(old, shop, one)).status).toBe(200)
  rotating.rotate(true)
  expect((await ask(rotating.mint(claims()), shop, eager)).status).toBe(200)
  expect((await ask(old, shop, eager)).status).toBe(200)
  rotating.rotate(false)
  expect((await ask(rotating.mint(claims()), shop, eager)).status).toBe(200)
  expect((await ask(old, shop, eager)).status).toBe(401)
  const before = rotating.reads()
  for (let n = 0; n < 20; n++) expect((await ask(rotating.mint(claims()), shop, patient)).status).toBe(401)
  expect(rotating.reads()).toBe(before)
  await Promise.all([patient.close(), eager.close(), rotating.close()])
})

test("an issuer that moves its keys is found again", async () => {
  const inner = await startIssuer()
  let place = "/old"
  const server = createServer((request, response) => {
    void (async () => {
      if (request.url === "/.well-known/openid-configuration")
        response.end(JSON.stringify({ issuer: url, jwks_uri: url + place }))
      else if (request.url === place) response.end(await (await fetch(`${inner.url}/keys`)).text())
      else response.writeHead(404).end()
    })()
  }).listen(0, "127.0.0.1")
  await once(server, "listening")
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const moved = await world.serve({
    authenticate: (log) => believeTokens(settings({ issuer: url, keyInterval: 0 }), log),
  })
  const mint = () => inner.mint({ ...claims(), iss: url })
  expect((await ask(mint(), shop, moved)).status).toBe(200)
  place = "/new"
  inner.rotate(false)
  expect((await ask(mint(), shop, moved)).status).toBe(503)
  expect((await ask(mint(), shop, moved)).status).toBe(200)
  server.close()
  await Promise.all([moved.close(), inner.close()])
})

test("while the issuer is away nobody is let in, and afterwards everybody is who may", async () => {
  const away = createServer((_request, response) => void response.writeHead(500).end())
  away.listen(0, "127.0.0.1")
  await once(away, "listening")
  const { port } = away.address() as AddressInfo
  const lonely = await world.serve({
    authenticate: (log) => believeTokens(settings({ issuer: `http://127.0.0.1:${port}` }), log),
  })
  const answer = await ask(issuer.mint({ ...claims(), iss: `http://127.0.0.1:${port}` }), shop, lonely)
  expect(answer).toMatchObject({ status: 503, body: { type: "/problems/issuer-unavailable" } })
  away.closeAllConnections()
  away.close()
  await once(away, "close")
  const back = await startIssuer({ port })
  expect((await ask(back.mint(claims()), shop, lonely)).status).toBe(200)
  await Promise.all([lonely.close(), back.close()])
})

test("no token is logged", async () => {
  const token = issuer.mint({ sub: "ada", tenants: [] })
  await ask(token)
  expect(api.logged.join("")).not.toContain(partsOf(token)[2])
})
