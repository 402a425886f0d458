// @ts-check
/** The fleet as the server tells it: read whole once, then kept by its events. */

/**
 * @typedef {{ id: string, name: string, state: string, cell?: string, database?: string, schema?: string, condition: "Ready" | "Reconciling" | "Stalled", reason: string, message: string, approve?: string, since: number, issuedAt?: number, isProtected?: boolean, hosts?: string[] }} Tenant
 * @typedef {{ tenant: string, name: string, kind: string, actions: string[] }} Change
 * @typedef {{ tenant: string, name: string, kind?: string, reason: string, message: string, approve?: string, waiting?: boolean }} Held
 * @typedef {{ id: string, at: number, type: string, tenant?: string, name: string, why: string, reason?: string }} FleetEvent
 * @typedef {{
 *   revision: number, fleet?: string, version?: string, problems: string[], lastError?: string, isWaiting: boolean, nextPass?: number,
 *   lastPass?: { at: number, ms: number, changes: number, failures: number }, cost?: Record<string, number>,
 *   pass?: { at: number, changes: number, ended: number, running: { tenant: string, name: string, kind: string, action: string, step: number, steps: number }[] },
 *   plan: { changes: Change[], withheld: Held[], stalls: Held[], problems: string[], unmanaged: { databases: string[], secrets: string[] }, counts: Record<"changes" | "withheld" | "stalls" | "problems" | "databases" | "secrets", number> },
 *   rollout?: { version: string, total: number, there: number, failed: number, waiting: number, stopped?: string },
 *   steps: string[]
 * }} Head
 */

/** The server wants a token. */
export class SignedOut extends Error {}

/** @param {string} path @returns {Promise<any>} */
export async function load(path) {
  const response = await fetch(path)
  const body = await response.json().catch(() => ({ error: `the server answered ${response.status}` }))
  if (response.status === 401 || response.status === 403) throw new SignedOut(body.error)
  if (!response.ok) throw new Error(body.error)
  return body
}

export const fleet = {
  /** @type {Head | undefined} */
  head: undefined,
  /** @type {Map<string, Tenant>} */
  tenants: new Map(),
}

/**
 * Keeps `fleet` true. The stream is opened first, so nothing that changes while the whole is read is missed.
 * @param {{ changed: (ids: Set<string>) => void, state: (text: string) => void, failed: (error: unknown) => void }} hear
 * @returns {() => void} how to stop
 */
export function follow({ changed, state, failed }) {
  const stream = new EventSource("/stream")
  /** @type {{ head: Head, changed: Tenant[], removed: string[] }[] | undefined} */
  let early

  /** @param {{ head: Head, changed: Tenant[], removed: string[] }} delta */
  function take(delta) {
    if (fleet.head && delta.head.revision <= fleet.head.revision) return
    fleet.head = delta.head
    for (const tenant of delta.changed) fleet.tenants.set(tenant.id, tenant)
    for (const id of delta.removed) fleet.tenants.delete(id)
    changed(new Set([...delta.changed.map(({ id }) => id), ...delta.removed]))
  }

  async function readWhole() {
    early = []
    try {
      const { tenants, ...head } = await load("/status.json")
      fleet.head = head
      fleet.tenants = new Map(tenants.map((/** @type {Tenant} */ tenant) => [tenant.id, tenant]))
      changed(new Set())
      const waiting = early
      early = undefined
      waiting.forEach(take)
      state("live")
    } catch (error) {
      stream.close()
      failed(error)
    }
  }

  stream.addEventListener("open", () => void readWhole())
  stream.addEventListener("message", ({ data }) => {
    const delta = JSON.parse(data)
    if (early) early.push(delta)
    else take(delta)
  })
  stream.addEventListener("error", () => {
    state("not connected; trying again …")
    // A refusal ends the stream for good; the reason is what a plain request is told.
    if (stream.readyState === EventSource.CLOSED) void readWhole()
  })
  return () => stream.close()
}
