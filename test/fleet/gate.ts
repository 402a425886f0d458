/**
 * What stands between one reconciler and its three systems: it sees each write that the reconciler sends, and can cut the
 * reconciler off at one of them. The reconciler is the one that production runs, and knows nothing of it.
 */
import { openHttpGate } from "./http-gate.ts"
import { openSqlGate } from "./sql-gate.ts"
import type { Systems } from "./systems.ts"

/** One write that passed. Times are milliseconds of the monotonic clock; `ended` is unset where no answer came. */
export type Write = {
  by: string
  system: "neon" | "vault" | "sql"
  what: string
  begun: number
  ended?: number
}

/** A time in which one held the fleet's lease; `ended` is unset while it does. */
export type Tenure = { by: string; begun: number; ended?: number }

/** `before`: the system never sees the write. `after`: the system has acted and answered, and the answer is lost. */
export type When = "before" | "after"

/** What is to happen at the write number `at` (from 1), or at the first one that `is` describes. */
export type Strike = { when: When; act: () => void } & ({ at: number } | { is: RegExp })

/** What the three listeners of a gate share. */
export type Post = {
  /** Registers a write. "cut": it must not be delivered, and nothing else either. */
  arrive: (system: Write["system"], what: string) => Arrival | "cut"
  isShut: () => boolean
  /** Runs when the gate shuts: cuts the listener's connections. */
  onShut: (cut: () => void) => void
  tenure: () => { end: () => void }
  /** Whether whoever asks for the lease is told that it has it, whatever Postgres says. */
  isLeaseForged: boolean
}
export type Arrival = {
  /** The system answered. "cut": the answer must not reach the reconciler, and nothing else either. */
  answered: () => "go on" | "cut"
}

export type Gate = Awaited<ReturnType<typeof openGate>>

/** Opens a gate for the reconciler called `by`. Writes and tenures are added to the lists that are given. */
export async function openGate(
  systems: Systems,
  by: string,
  {
    writes = [],
    tenures = [],
    isLeaseForged = false,
  }: { writes?: Write[]; tenures?: Tenure[]; isLeaseForged?: boolean } = {},
) {
  let strike: Strike | undefined
  let isShut = false
  let count = 0
  const cuts: (() => void)[] = []

  function shut(act?: () => void): void {
    if (isShut) return
    isShut = true
    act?.()
    for (const cut of cuts) cut()
  }

  const meets = (what: string) =>
    strike !== undefined && ("at" in strike ? strike.at === count : strike.is.test(what))

  const post: Post = {
    arrive: (system, what) => {
      if (isShut) return "cut"
      count++
      const mine = meets(`${system} ${what}`) ? strike : undefined
      if (mine) strike = undefined
      if (mine?.when === "before") {
        shut(mine.act)
        return "cut"
      }
      const write: Write = { by, system, what, begun: performance.now() }
      writes.push(write)
      return {
        answered: () => {
          write.ended = performance.now()
          if (mine) shut(mine.act)
          return isShut ? "cut" : "go on"
        },
      }
    },
    isShut: () => isShut,
    onShut: (cut) => cuts.push(cut),
    tenure: () => {
      const tenure: Tenure = { by, begun: performance.now() }
      tenures.push(tenure)
      return { end: () => (tenure.ended ??= performance.now()) }
    },
    isLeaseForged,
  }
  const sql = await openSqlGate(post, systems.postgres.port)
  const { neon, vault } = await openHttpGate(post, systems, sql.port)

  return {
    /** Lays these over the environment of a reconciler to send it through here. */
    environment: { NEON_API_URL: neon.url, KEY_VAULT_URL: vault.url },
    writes,
    tenures,
    /** Connections to Postgres that were opened through here. */
    connections: sql.connections,
    /** What happens at one of the next writes. */
    strike: (next: Strike) => void (strike = next),
    hasStruck: () => isShut,
    close: async () => {
      shut()
      await Promise.all([sql.close(), neon.close(), vault.close()])
    },
  }
}
