/** Hosts the stand-in in a process of its own, so that a test can kill it. Told what to do by its environment. */
import { startNeon } from "../../local/neon.ts"

const { NEON_POSTGRES_PORT, NEON_SUPERUSER_URI, NEON_API_KEY, NEON_OPERATION_MS } = process.env
const neon = await startNeon({
  postgres: { host: "127.0.0.1", port: Number(NEON_POSTGRES_PORT), superuserUri: NEON_SUPERUSER_URI! },
  apiKey: NEON_API_KEY!,
  operationMs: Number(NEON_OPERATION_MS),
})
process.stdout.write(`${neon.url}\n`)
