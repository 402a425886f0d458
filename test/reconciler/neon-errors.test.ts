import { once } from "node:events"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { createApiClient } from "@neondatabase/api-client"
import { expect, onTestFinished, test } from "vitest"
import { NeonFailure } from "../../reconciler/providers/neon-errors.ts"

/** What is known of the failure that Neon's own client makes of a 429 with this header. */
async function throttled(retryAfter: string): Promise<NeonFailure> {
  const server = createServer((_, response) => {
    response.writeHead(429, { "Retry-After": retryAfter }).end('{"message":"slow down"}')
  })
  server.listen(0, "127.0.0.1")
  onTestFinished(() => void server.close())
  await once(server, "listening")
  const baseURL = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const failed = await createApiClient({ apiKey: "none", baseURL })
    .getProject("p")
    .catch(NeonFailure.raise)
    .catch((error: unknown) => error)
  return failed as NeonFailure
}

test("how long Neon asks to wait is read from its client's error, up to a minute", async () => {
  expect(await throttled("7")).toMatchObject({ status: 429, message: "slow down", retryAfter: 7000 })
  expect((await throttled("86400")).retryAfter).toBe(60_000)
  expect((await throttled("soon")).retryAfter).toBeUndefined()
})
