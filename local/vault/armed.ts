import { parseFault, type Fault } from "./faults.ts"
import type { Operation } from "./routes.ts"
import type { View } from "./store.ts"

/** A call that a fault may meet; `name` is undefined for the calls without one. */
type Meeting = {
  method: string
  route: Operation | "IdentityToken"
  name: string | undefined
  clientId: string
}

/** A fault that hits a call, with the secrets as they stood when it was added; `released`: all were switched off. */
export type Hit = { fault: Fault; view: View; released: AbortSignal }

/** A fault in waiting, as `list` shows it. */
type Listed = { id: number; fault: Fault; hits: number }

/** The switches for faults. */
export type Faults = {
  /** Switches a fault on and answers its id; throws when it is not a fault. */
  add: (fault: Fault) => number
  /** Switches one fault off; or all of them, and lets go what they hold. */
  clear: (id?: number) => void
  /** The faults that are on, oldest first. */
  list: () => readonly Listed[]
}

type Armed = { id: number; fault: Fault; view: View; hits: number; skipped: number; windows: Windows }
type Windows = { start: number; sets: number; others: number }

const lists: ReadonlySet<string> = new Set(["SecretList", "SecretListVersions", "SecretListDeleted"])

function concerns(fault: Fault, meeting: Meeting): boolean {
  switch (fault.kind) {
    case "identity-down":
      return meeting.route === "IdentityToken"
    case "limits":
      return meeting.route !== "IdentityToken"
    case "stale-list":
    case "truncated-list":
    case "empty-page":
    case "short-page":
      return lists.has(meeting.route) && matches(fault.match, meeting)
    case "throttled":
    case "unavailable":
    case "server-error":
    case "html":
    case "delay":
    case "held":
    case "dropped":
    case "lost-response":
    case "truncated-json":
    case "forbidden":
    case "revoked":
      break
  }
  return matches(fault.match, meeting)
}

function matches(
  match: Exclude<Fault, { kind: "limits" | "identity-down" }>["match"],
  meeting: Meeting,
): boolean {
  if (match?.route === undefined ? meeting.route === "IdentityToken" : match.route !== meeting.route)
    return false
  if (match?.method !== undefined && match.method !== meeting.method) return false
  if (match?.clientId !== undefined && match.clientId !== meeting.clientId) return false
  return match?.name === undefined || match.name.toLowerCase() === meeting.name?.toLowerCase()
}

/** Counts the call into its window of time; true when it is over the limit. */
function overLimit(
  armed: Armed,
  fault: Extract<Fault, { kind: "limits" }>,
  route: string,
  now: number,
): boolean {
  if (now - armed.windows.start >= (fault.windowMs ?? 10_000))
    armed.windows = { start: now, sets: 0, others: 0 }
  if (route === "SecretSet") return ++armed.windows.sets > (fault.sets ?? 300)
  return ++armed.windows.others > (fault.others ?? 4000)
}

function spent(one: Armed): boolean {
  if (one.fault.kind === "limits" || one.fault.times === "always") return false
  return one.hits >= (one.fault.times ?? 1)
}

/** The switches, and the fault that hits a call at `now` (milliseconds). */
export type FaultBox = Faults & { meet: (meeting: Meeting, now: number) => Hit | undefined }

/** Makes the switches, all off; `snapshot` is what a stale list will show. */
export function makeFaults(snapshot: () => View): FaultBox {
  let armed: Armed[] = []
  let nextId = 1
  let release = new AbortController()

  function hit(one: Armed, meeting: Meeting, now: number): boolean {
    if (!concerns(one.fault, meeting)) return false
    if (one.fault.kind === "limits") return overLimit(one, one.fault, meeting.route, now)
    if (one.skipped < (one.fault.after ?? 0)) {
      one.skipped += 1
      return false
    }
    return true
  }

  return {
    add(given) {
      const windows = { start: -Infinity, sets: 0, others: 0 }
      const id = nextId++
      armed.push({ id, fault: parseFault(given), view: snapshot(), hits: 0, skipped: 0, windows })
      return id
    },
    clear(id) {
      armed = id === undefined ? [] : armed.filter((one) => one.id !== id)
      if (id !== undefined) return
      release.abort()
      release = new AbortController()
    },
    list: () => armed.map(({ id, fault, hits }) => ({ id, fault, hits })),
    meet(meeting, now) {
      const found = armed.find((one) => hit(one, meeting, now))
      if (found === undefined) return undefined
      found.hits += 1
      if (spent(found)) armed = armed.filter((one) => one !== found)
      return { fault: found.fault, view: found.view, released: release.signal }
    },
  }
}
