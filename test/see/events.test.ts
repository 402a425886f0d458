/** What happened to the tenants: kept, logged, and told to others. */
import { createHmac } from "node:crypto"
import { once } from "node:events"
import { createServer, type IncomingHttpHeaders } from "node:http"
import type { AddressInfo } from "node:net"
import { text } from "node:stream/consumers"
import { afterAll, beforeAll, expect, test } from "vitest"
import { TerminalError, TransientError } from "../../reconciler/errors.ts"
import { type FleetEvent, keepEvents } from "../../reconciler/events.ts"
import { createLogger } from "../../reconciler/log.ts"
import { renderMetrics } from "../../reconciler/metrics.ts"
import { openWebhook } from "../../reconciler/providers/webhook.ts"
import type { Review } from "../../reconciler/reconcile.ts"
import { change } from "../reconciler/samples.ts"
import { idOf, nameOf, reviewOf } from "./made-up.ts"
import { parseSeries, sumOf } from "./series.ts"

const SECRET = `whsec_${Buffer.from("a key of more than 24 bytes").toString("base64")}`
const log = createLogger("reconciler", () => {})

/** A fleet's events, and the messages of its log. */
function open() {
  const lines: string[] = []
  const events = keepEvents(
    createLogger("reconciler", (line) => lines.push(line)),
    Date.now,
  )
  const pass = (review: Review) => {
    events.begins!("pass", 0)
    events.planned!(review)
  }
  const said = () => events.recent(100).map(({ type, name, why }) => `${type} ${name}: ${why}`)
  const logged = () => lines.map((line) => (JSON.parse(line) as { msg: string }).msg)
  return { events, pass, said, logged }
}

test("a file that comes, changes or goes is an event that says what changed; the first look is none", () => {
  const { pass, said, logged } = open()
  const quiet = { withheld: [], stalls: [] }
  pass(reviewOf(2, quiet))
  expect(said()).toEqual([])
  pass(reviewOf(3, quiet))
  const three = reviewOf(3, quiet)
  const [first, ...others] = three.read.tenants
  pass({
    ...three,
    read: { ...three.read, tenants: [{ ...first!, name: "Ada", protected: true }, ...others] },
  })
  pass(reviewOf(2, quiet))
  expect(said()).toEqual([
    `file.removed ${nameOf(2)}: tenants/2.yaml no longer declares it`,
    `file.changed ${nameOf(0)}: name: Ada is now ${nameOf(0)}, other keys changed`,
    `file.changed Ada: name: ${nameOf(0)} is now Ada, other keys changed`,
    `file.added ${nameOf(2)}: tenants/2.yaml declares it`,
  ])
  expect(logged()).toEqual(["file added", "file changed", "file changed", "file removed"])
})

test("what is done, fails, stalls or is withheld is an event with its reason, and said once while it stays so", () => {
  const { events, pass, said } = open()
  pass(reviewOf(2))
  pass(reviewOf(2))
  const renaming = change("rename", idOf(1), nameOf(1))
  const error = new TransientError("NeonLocked", "locked")
  for (const outcome of [
    { change: renaming, ms: 1, error },
    { change: renaming, ms: 1, error },
    { change: renaming, ms: 1 },
  ])
    events.progress!({ kind: "change", outcome })
  expect(said()).toEqual([
    `tenant.renamed ${nameOf(1)}: its file has another name`,
    `tenant.failed ${nameOf(1)}: rename: locked`,
    `tenant.withheld ${nameOf(0)}: retire: the ledger says that this tenant is protected`,
    `tenant.stalled ${nameOf(1)}: Neon has no such database`,
  ])
  expect(events.recent(10, idOf(0))).toHaveLength(1)
})

test("a faulty file, a tenant's or a migration's, is an event that says where and what", () => {
  const { pass, said } = open()
  const review = reviewOf(1, { withheld: [], stalls: [] })
  const problems = [{ file: "tenants/x.yaml", line: 2, key: "name", message: "is missing" }]
  const fault = new TerminalError("BadMigration", "migrations/0006_e.sql: has the same number")
  pass({ ...review, read: { ...review.read, problems }, migrations: { ...review.migrations, fault } })
  expect(said()).toEqual([
    "file.refused migrations: migrations/0006_e.sql: has the same number",
    "file.refused tenants/x.yaml: tenants/x.yaml:2: name: is missing",
  ])
})

test("however much happens, ten thousand events are kept and no more", () => {
  const { events, pass } = open()
  pass(reviewOf(1, { withheld: [], stalls: [] }))
  for (let n = 0; n < 25_000; n++)
    events.progress!({ kind: "change", outcome: { change: change("update", idOf(n), `T${n}`), ms: 1 } })
  const kept = events.recent(100_000)
  expect([kept.length, kept[0]!.name, kept.at(-1)!.name]).toEqual([10_000, "T24999", "T15000"])
})

type Delivery = { headers: IncomingHttpHeaders; body: string }
const got: Delivery[] = []
const receiver = createServer(async (request, response) => {
  got.push({ headers: request.headers, body: await text(request) })
  const status = answers.shift() ?? 204
  response.writeHead(status, status === 302 ? { location: "/elsewhere" } : {}).end()
})
/** What the next deliveries are answered; then 204. */
let answers: number[] = []
let url: string

beforeAll(async () => {
  receiver.listen(0, "127.0.0.1")
  await once(receiver, "listening")
  url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`
})
afterAll(() => void receiver.close())

const event = (n: number): FleetEvent => ({
  id: `event-${n}`,
  at: Date.parse("2026-06-01T12:00:00Z"),
  type: "tenant.created",
  tenant: idOf(n),
  name: nameOf(n),
  fleet: "sample",
  why: "its file declares it",
  pass: "pass-1",
  traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
})
const idsGot = () => got.map(({ headers }) => headers["webhook-id"])

test("the webhook is sent CloudEvents in their order, each again until it is taken, with a signature that fits", async () => {
  got.length = 0
  answers = [503, 429]
  const stop = new AbortController()
  const send = openWebhook({ url, secret: SECRET }, { log, signal: stop.signal, pause: 5 })
  send(event(1))
  send(event(2))
  await expect.poll(idsGot).toEqual(["event-1", "event-1", "event-1", "event-2"])
  const { headers, body } = got.at(-1)!
  expect(headers["content-type"]).toBe("application/cloudevents+json")
  expect(JSON.parse(body)).toEqual({
    specversion: "1.0",
    id: "event-2",
    source: "/tenantry/sample",
    type: "tenantry.tenant.created",
    subject: idOf(2),
    time: "2026-06-01T12:00:00.000Z",
    traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    datacontenttype: "application/json",
    data: { tenant: idOf(2), name: nameOf(2), why: "its file declares it", pass: "pass-1" },
  })
  const at = headers["webhook-timestamp"] as string
  expect(Math.abs(Number(at) - Date.now() / 1000)).toBeLessThan(60)
  const key = Buffer.from("a key of more than 24 bytes")
  const signature = createHmac("sha256", key).update(`event-2.${at}.${body}`).digest("base64")
  expect(headers["webhook-signature"]).toBe(`v1,${signature}`)
  stop.abort()
})

test("an event that the receiver refuses, or that it redirects, is given up at once and holds up no other", async () => {
  got.length = 0
  answers = [400, 302]
  const stop = new AbortController()
  const send = openWebhook({ url, secret: SECRET }, { log, signal: stop.signal, pause: 5 })
  for (const n of [1, 2, 3]) send(event(n))
  await expect.poll(idsGot).toEqual(["event-1", "event-2", "event-3"])
  stop.abort()
})

const outcomes = async () => {
  const series = parseSeries((await renderMetrics()).text)
  const of = (outcome: string) => sumOf(series, "tenantry_webhook_deliveries_total", { outcome })
  return { dropped: of("dropped"), sent: of("sent"), waiting: sumOf(series, "tenantry_webhook_queue") }
}

test("while the receiver is away a thousand events wait, the oldest are dropped, and metrics count them", async () => {
  got.length = 0
  answers = Array.from({ length: 5 }, () => 500)
  const before = await outcomes()
  const stop = new AbortController()
  const send = openWebhook({ url, secret: SECRET }, { log, signal: stop.signal, pause: 50 })
  for (let n = 0; n < 1101; n++) send(event(n))
  // One is on its way, so of the others a hundred are too many.
  expect((await outcomes()).dropped - before.dropped).toBe(100)
  await expect.poll(async () => (await outcomes()).sent - before.sent, { timeout: 20_000 }).toBe(1001)
  expect(await outcomes()).toMatchObject({ waiting: 0 })
  expect([idsGot()[0], idsGot().at(-1)]).toEqual(["event-0", "event-1100"])
  stop.abort()
})
