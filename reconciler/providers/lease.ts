/** Who may apply: one reconciler per fleet at a time, decided by Postgres. */
import { createHash } from "node:crypto"
import { Client } from "pg"
import { Gauge } from "prom-client"
import { TransientError } from "../errors.ts"
import type { FleetId } from "../tenant.ts"

export type Lease = {
  /** Aborts when the lease is lost: from then on another may apply. */
  lost: AbortSignal
  release: () => Promise<void>
}

const held = new Gauge({
  name: "tenantry_lease_held",
  help: "1 while this process may apply: no other reconciler of the fleet can at the same time.",
})

/** Milliseconds between two proofs of life, and how long one may take. */
const HEARTBEAT = 4000
const CONNECT_TIMEOUT = 15_000

/**
 * Takes the fleet's lease: a session's advisory lock, so it ends with this process, however that ends. `uri` must be
 * on the direct host, since a pooler would lend the session to others. undefined: another reconciler has it.
 */
export async function acquireLease(uri: string, fleet: FleetId): Promise<Lease | undefined> {
  const client = new Client({
    connectionString: uri,
    connectionTimeoutMillis: CONNECT_TIMEOUT,
    query_timeout: HEARTBEAT,
    keepAlive: true,
    application_name: "tenantry-lease",
  })
  const lost = new AbortController()
  lost.signal.addEventListener("abort", () => held.set(0))
  client.on("error", () => lost.abort())
  client.on("end", () => lost.abort())
  try {
    await client.connect()
    // A host that vanished without a word is noticed by the server after some ten seconds, not two hours.
    await client.query(
      "set tcp_keepalives_idle = 4; set tcp_keepalives_interval = 2; set tcp_keepalives_count = 3",
    )
    const { rows } = await client.query<{ held: boolean }>("select pg_try_advisory_lock($1) as held", [
      lockKey(fleet),
    ])
    if (!rows[0]!.held) {
      await client.end()
      return undefined
    }
  } catch {
    await client.end().catch(() => {})
    throw new TransientError(
      "LeaseUnavailable",
      "could not ask Postgres for the fleet's lease: it is away or busy",
    )
  }
  if (!lost.signal.aborted) held.set(1)
  const heartbeat = setInterval(() => void client.query("select").catch(() => lost.abort()), HEARTBEAT)
  heartbeat.unref()
  return {
    lost: lost.signal,
    release: async () => {
      clearInterval(heartbeat)
      await client.end().catch(() => {})
    },
  }
}

const lockKey = (fleet: FleetId): string =>
  createHash("sha256").update(`tenantry lease ${fleet}`).digest().readBigInt64BE().toString()
