import { inspect } from "node:util"
import fc from "fast-check"
import { expect, test } from "vitest"
import { createLogger, keepSecret, redact } from "../../reconciler/log.ts"

const PASSWORD = "hunter2hunter2"
const KEY = "napi_4f7q2mzkx81cny5w"

/** What an HTTP client's error holds, as it is found in logs everywhere. */
const axiosError = Object.assign(new Error("Request failed with status code 423"), {
  config: { url: "/projects", headers: { Authorization: `Bearer ${KEY}`, Accept: "application/json" } },
  response: {
    status: 423,
    data: { uri: `postgresql://owner:${PASSWORD}@ep-x.neon.tech/db?sslmode=require` },
  },
})

test.for<[string, string]>([
  ["a connection string", `could not reach postgres://ada:${PASSWORD}@localhost:5432/products-Ada`],
  ["the other scheme", `postgresql://ada:${PASSWORD}@host/db`],
  ["the scheme in capitals", `POSTGRES://ada:${PASSWORD}@host/db`],
  ["a password with reserved characters", `postgres://ada:p:/?#${PASSWORD}@host/db`],
  ["two connection strings", `postgres://a:x@h/d and postgres://b:${PASSWORD}@h/d`],
  ["a header", `authorization: Bearer ${PASSWORD}`],
  ["a header in a list", JSON.stringify(["Authorization", `bearer ${PASSWORD}==`])],
  ["a JSON field", JSON.stringify({ password: PASSWORD })],
  ["a JSON field in a JSON string", JSON.stringify({ body: JSON.stringify({ password: PASSWORD }) })],
  ["an inspected object", inspect({ role: { password: PASSWORD } })],
  ["the keyword form", `host=h user=u password=${PASSWORD} dbname=d`],
  ["an environment", `PGPASSWORD=${PASSWORD} AZURE_CLIENT_SECRET=${PASSWORD}`],
  ["an api key", `apiKey: '${PASSWORD}', api_key=${PASSWORD}, "api-key": "${PASSWORD}"`],
  ["a token's answer", JSON.stringify({ access_token: PASSWORD, token_type: "Bearer" })],
])("%s loses its credential", ([, text]) => {
  expect(redact(text)).not.toContain(PASSWORD)
  expect(redact(text)).toContain("***")
})

test("an HTTP client's error loses its credentials, however it is dumped", () => {
  for (const dump of [
    inspect(axiosError, { depth: 9 }),
    JSON.stringify(axiosError),
    JSON.stringify(JSON.stringify(axiosError)),
  ]) {
    expect(dump).toContain(KEY)
    expect(redact(dump)).not.toContain(KEY)
    expect(redact(dump)).not.toContain(PASSWORD)
  }
})

test("what tells a person where to look stays", () => {
  const text = `change failed at postgres://ada:${PASSWORD}@localhost:5432/products-Ada`
  expect(redact(text)).toBe("change failed at postgres://ada:***@localhost:5432/products-Ada")
  const plain = "could not write the secret tenant-78b0c444-49aa-4308-b35f-9ff530b31920: 429 Throttled"
  expect(redact(plain)).toBe(plain)
})

test("a credential that is known is cut out wherever it stands, and short words are left alone", () => {
  const secret = "Zq8-a.b*c+d(e"
  keepSecret(secret)
  keepSecret("Shopify")
  keepSecret("")
  expect(redact(`x${secret}y ${secret} Shopify`)).toBe("x***y *** Shopify")
})

test("a random credential of ours is in no line, whatever is logged", () => {
  const base64url = fc.stringMatching(/^[A-Za-z0-9_-]{43}$/)
  fc.assert(
    fc.property(base64url, fc.constantFrom("string", "object", "error", "nested"), (secret, shape) => {
      const lines: string[] = []
      const log = createLogger("test", (line) => lines.push(line))
      const uri = `postgres://tenant_x_a:${secret}@localhost:5432/products-Ada`
      if (shape === "string") log.error({ error: uri }, "change failed")
      if (shape === "object") log.error({ headers: { authorization: `Bearer ${secret}` } }, "change failed")
      if (shape === "error") log.error({ err: new Error(uri) }, "change failed")
      if (shape === "nested")
        log.error({ body: JSON.stringify({ role: { password: secret } }) }, "change failed")
      expect(lines).toHaveLength(1)
      expect(lines[0]).not.toContain(secret)
      expect(JSON.parse(lines[0]!)).toMatchObject({ name: "test", level: "error", msg: "change failed" })
    }),
  )
})
