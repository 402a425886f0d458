/** The connections that nobody uses, kept with their tenants for whoever asks next. */
import type { Connection } from "./connections.ts"
import type { Lane } from "./lanes.ts"

export type Idle = {
  keep: (lane: Lane, connection: Connection) => void
  /** One of the tenant's that was opened by `uri` and can be used; none while somebody waits for it. */
  pop: (lane: Lane, uri: string) => Connection | undefined
  /** Closes it, unless it was taken meanwhile; says whether it was kept. */
  drop: (lane: Lane, connection: Connection) => boolean
  /** Closes all of the tenant's. */
  empty: (lane: Lane) => void
  /** Closes all, and no more of itself. */
  end: () => void
}

export type IdleOptions = {
  /** Every tenant's. */
  lanes: () => Iterable<Lane>
  close: (lane: Lane, connection: Connection) => void
  /** How long an unused connection is kept, in milliseconds. */
  timeout: number
}

/** None is kept yet. */
export function keepIdle({ lanes, close, timeout }: IdleOptions): Idle {
  const sweep = setInterval(closeUnused, Math.max(10, timeout / 2)).unref()

  function closeUnused(): void {
    const oldest = performance.now() - timeout
    for (const lane of lanes()) closeThose(lane, oldest)
  }

  /** Those that nobody has used since `before`, by performance.now(). */
  function closeThose(lane: Lane, before = Number.POSITIVE_INFINITY): void {
    while (lane.idle[0] && lane.idle[0].since <= before) close(lane, lane.idle.shift()!.connection)
  }

  return {
    keep: (lane, connection) => void lane.idle.push({ connection, since: performance.now() }),

    pop(lane, uri) {
      if (lane.waiting.size > 0) return undefined
      for (let idle = lane.idle.pop(); idle; idle = lane.idle.pop()) {
        if (idle.connection.uri === uri && !idle.connection.isBroken()) return idle.connection
        close(lane, idle.connection)
      }
      return undefined
    },

    drop(lane, connection) {
      const index = lane.idle.findIndex((one) => one.connection === connection)
      if (index === -1) return false
      lane.idle.splice(index, 1)
      close(lane, connection)
      return true
    },

    empty: (lane) => closeThose(lane),

    end() {
      clearInterval(sweep)
      for (const lane of lanes()) closeThose(lane)
    },
  }
}
