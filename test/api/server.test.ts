import { once } from "node:events"
import type { RequestListener } from "node:http"
import { type AddressInfo, connect, type Socket } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { text } from "node:stream/consumers"
import { expect, test } from "vitest"
import { createApiServer, LIMITS } from "../../api/server.ts"

const GET = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
const large = Buffer.alloc(20_000_000)

/** A server with short limits, and one client's socket. */
async function serve(app: RequestListener, limits: Partial<typeof LIMITS>) {
  const server = createApiServer(app, { ...LIMITS, ...limits }).listen(0, "127.0.0.1")
  await once(server, "listening")
  const sockets = once(server, "connection")
  const client = connect((server.address() as AddressInfo).port, "127.0.0.1")
  client.on("error", () => {}) // `close` follows
  await once(client, "connect")
  const [inward] = (await sockets) as [Socket]
  const ended = new Promise((resolve) => inward.once("close", resolve))
  return { client, ended, stop: () => (server.closeAllConnections(), server.close()) }
}

test("who asks and does not read is cut off, and the answer is not kept", async () => {
  const { client, ended, stop } = await serve((_request, response) => response.end(large), { silence: 200 })
  client.pause().write(GET)
  await ended
  stop()
})

test("who reads slowly gets all of it", async () => {
  const { client, stop } = await serve((_request, response) => response.end(large), { silence: 400 })
  let bytes = 0
  client.on("data", (chunk: Buffer) => {
    bytes += chunk.length
    client.pause()
    setTimeout(() => client.resume(), 5)
  })
  client.write(GET)
  await expect.poll(() => bytes, { timeout: 40_000 }).toBeGreaterThan(large.length)
  stop()
})

test("who waits long for an answer, or asks again after a pause, is not cut off", async () => {
  const { client, stop } = await serve(
    (_request, response) => void sleep(600).then(() => response.end("late")),
    {
      silence: 200,
    },
  )
  for (let n = 0; n < 2; n++) {
    client.write(GET)
    expect(String(await once(client, "data"))).toContain("late")
    await sleep(400)
  }
  stop()
})

test.each([
  ["what is this\r\n\r\n", 400, "request-malformed"],
  [`GET / HTTP/1.1\r\nHost: x\r\nX: ${"y".repeat(20_000)}\r\n\r\n`, 431, "head-too-large"],
  ["GET / HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\nConnection: close\r\n\r\n", 417, "expectation-unknown"],
  ["GET / HTTP/1.1\r\nHost: x\r\n", 408, "request-too-slow"],
])("what never gets to the application is refused as a problem, too: %#", async (sent, status, key) => {
  const { client, stop } = await serve((_request, response) => response.end("served"), { head: 300 })
  const answer = text(client)
  client.write(sent)
  const [head, body] = (await answer).split("\r\n\r\n") as [string, string]
  expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
  expect(head).toMatch(/^content-type: application\/problem\+json/im)
  expect(JSON.parse(body)).toMatchObject({ type: `/problems/${key}`, status })
  stop()
})

test("a head that comes letter by letter is cut off", async () => {
  const { client, ended, stop } = await serve((_request, response) => response.end(), { head: 300 })
  client.write("GET / HTTP/1.1\r\nX: ")
  const letters = setInterval(() => client.write("y"), 50)
  await ended
  clearInterval(letters)
  stop()
})
