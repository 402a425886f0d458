/** A Postgres, the Neon stand-in on it, and Neon's own client, for one test file. */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { createApiClient, type Operation } from "@neondatabase/api-client"
import { Client } from "pg"
import { startNeon, type NeonOptions } from "../../local/neon.ts"
import { startTestPostgres } from "../postgres.ts"
import { checkResponse } from "./neon-openapi.ts"

export const API_KEY = "test-key"

/** Tests do not cut the power. */
export const FAST = { fsync: "off", synchronous_commit: "off", full_page_writes: "off" }

/** Statuses whose bodies come from a proxy in front of Neon, which the description does not speak of. */
const OF_THE_PROXY = new Set([502, 524])

/** Neon's client; every response it gets is checked against the description, errors too. */
export function neonClient(url: string, apiKey = API_KEY) {
  const client = createApiClient({
    apiKey,
    baseURL: url,
    timeout: 20_000,
    maxRedirects: 0,
    validateStatus: () => true,
  })
  client.instance.interceptors.response.use((response) => {
    const pathname = new URL(client.instance.getUri(response.config)).pathname.replace("/api/v2", "")
    const isTruncated = typeof response.data === "string" && response.data.startsWith("{")
    if (!OF_THE_PROXY.has(response.status) && !isTruncated) {
      checkResponse(response.config.method!.toUpperCase(), pathname, response.status, response.data)
    }
    return response
  })
  return client
}

export type NeonClient = ReturnType<typeof neonClient>

/** `settings` are Postgres's, beside those of every test. */
export async function startWorld(options: Partial<NeonOptions> = {}, settings: Record<string, string> = {}) {
  const directory = await mkdtemp(path.join(tmpdir(), "neon-"))
  const postgres = await startTestPostgres({ directory, settings: { ...FAST, ...settings } })
  const start = (more: Partial<NeonOptions> = {}) =>
    startNeon({ postgres, apiKey: API_KEY, operationMs: 40, ...options, ...more })
  const neon = await start()
  const client = neonClient(neon.url)
  return {
    postgres,
    neon,
    client,
    start,
    stop: async () => {
      await neon.close()
      await postgres.stop()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

export type NeonWorld = Awaited<ReturnType<typeof startWorld>>

/** Runs one statement in a session of its own; throws what Postgres or the connection attempt gives. */
export async function sql<T extends object>(uri: string, text: string, values: unknown[] = []): Promise<T[]> {
  const client = new Client({ connectionString: uri })
  client.on("error", () => {}) // a session that the test ends from outside
  await client.connect()
  try {
    return (await client.query<T>(text, values)).rows
  } finally {
    await client.end()
  }
}

/** Polls until `probe` returns something else than undefined or false. */
export async function until<T>(what: string, probe: () => Promise<T | undefined | false>): Promise<T> {
  const deadline = Date.now() + 30_000
  while (Date.now() < deadline) {
    const result = await probe()
    if (result !== undefined && result !== false) return result
    await sleep(15)
  }
  throw new Error(`did not come about within 30 s: ${what}`)
}

const ENDED = new Set(["finished", "failed", "cancelled", "skipped"])

/** Waits for operations to end and returns them as they ended. */
export async function ended(
  client: NeonClient,
  projectId: string,
  operations: Operation[],
): Promise<Operation[]> {
  return Promise.all(
    operations.map(({ id }) =>
      until(`operation ${id} ends`, async () => {
        const { data } = await client.getProjectOperation(projectId, id)
        return ENDED.has(data.operation.status) && data.operation
      }),
    ),
  )
}

/** Waits until the project is not locked. */
export async function quiet(client: NeonClient, projectId: string): Promise<void> {
  await until("no operation is under way", async () => {
    const { data } = await client.listProjectOperations({ projectId, limit: 20 })
    return data.operations.every(({ status }) => ENDED.has(status))
  })
}
