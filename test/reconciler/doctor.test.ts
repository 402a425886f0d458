import { createServer } from "node:http"
import { once } from "node:events"
import type { AddressInfo } from "node:net"
import { expect, onTestFinished, test } from "vitest"
import { examine, judgeClock } from "../../reconciler/doctor.ts"
import { reach } from "../../reconciler/providers/reach.ts"
import { freePort } from "../free-port.ts"

test.for<[number, string, string]>([
  [4999, "ok", "agrees with this machine's"],
  [-4999, "ok", "agrees with this machine's"],
  [9000, "warning", "is 9 s ahead of this machine's: set this machine's clock by NTP"],
  [-400_000, "problem", "is 400 s behind this machine's: set this machine's clock by NTP"],
])("a clock that is %i ms ahead is judged %s", ([skew, verdict, said]) => {
  expect(judgeClock("Neon", skew)).toMatchObject({ what: "Neon: clock", verdict })
  expect(judgeClock("Neon", skew).said).toContain(said)
})

test("a service's clock is read from any answer, a refusal too", async () => {
  const server = createServer((_, response) => {
    response.setHeader("date", new Date(Date.now() + 60_000).toUTCString())
    response.writeHead(401).end("no")
  })
  server.listen(0)
  await once(server, "listening")
  onTestFinished(() => void server.close())
  const { skew } = await reach(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  expect(Math.abs(skew! - 60_000)).toBeLessThan(2000)
})

test("an old Node, a variable that is missing and a service that is away are said, each with what to do", async () => {
  const port = await freePort()
  const environment = {
    NEON_API_URL: `http://127.0.0.1:${port}`,
    NEON_API_KEY: "key-of-nobody",
    NEON_PROJECT_ID: "p",
    NEON_BRANCH_ID: "b",
    NEON_DATABASE_OWNER: "o",
    KEY_VAULT_URL: `https://127.0.0.1:${port}`,
    STATUS_PORT: String(port),
  }
  const findings = await examine(environment, { tenantry: "0.1.0", node: "22.1.0" })
  const problems = findings.filter(({ verdict }) => verdict === "problem").map(({ said }) => said)
  expect(problems).toEqual([
    'Tenantry 0.1.0 on Node 22.1.0: Node 24 is needed; after "npm ci", "npx tenantry" uses the right one',
    expect.stringMatching(
      /^127\.0\.0\.1:\d+ does not answer \(ECONNREFUSED\): check NEON_API_URL, the network/,
    ),
    expect.stringMatching(
      /^127\.0\.0\.1:\d+ does not answer \(ECONNREFUSED\): check KEY_VAULT_URL, the network/,
    ),
  ])
  const { NEON_PROJECT_ID: _, ...less } = environment
  const said = (await examine(less, { tenantry: "0.1.0", node: "24.1.0" })).map(
    ({ what, verdict }) => `${what} ${verdict}`,
  )
  expect(said).toEqual([
    "versions ok",
    "environment problem",
    "fleet file ok",
    "tenants ok",
    "migrations ok",
    "reconciler ok",
  ])
})
