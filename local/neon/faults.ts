/**
 * Faults that can be switched on. Each is met by the calls of its `route`, in `project` or in any, lets the first `after` of them through
 * (default 0), strikes the next `times` (default 1), and is then spent. A call meets one fault at most: the first
 * one switched on that is due. "Acted" means that the change was begun as if nothing were wrong.
 *
 * | kind              | default route                | what it does |
 * |-------------------|------------------------------|--------------|
 * | locked            | mutations                    | 423, not acted |
 * | rate-limited      | any                          | 429, not acted; Retry-After when `retryAfter` (seconds) is given |
 * | unavailable       | any                          | 503, not acted |
 * | bad-gateway       | any                          | 502 with an HTML page; acted if `acted` |
 * | gateway-timeout   | any                          | 524 with an HTML page; acted if `acted` |
 * | delay             | any                          | answers `delayMs` late; acts before the wait if `acted`, else after it |
 * | drop-before       | any                          | connection cut, not acted |
 * | drop-after        | any                          | acted, then connection cut: the lost response |
 * | truncated-json    | any                          | acted; 2xx whose JSON stops in the middle |
 * | not-found         | getProjectBranchDatabase     | 404 for what is there, as just after a create; on DELETE acted if `acted` |
 * | no-content        | deleteProjectBranchDatabase  | acted, but 204 with no operations to wait for |
 * | operation-failed  | mutations                    | the operation ends `failed`; its effect is there if `acted` |
 * | operation-stuck   | mutations                    | the operation stays `running`, and the project locked, until the faults are cleared; its effect is there if `acted` |
 * | operation-error   | mutations                    | the operation shows `error` with `retry_at`, and `retryMs` later (default an operation's length) runs again and finishes |
 * | operation-cancelled | mutations                  | the operation goes `cancelling`, `cancelled`; no effect |
 * | background-lock   | mutations                    | Neon's own work begins just before the call and locks the project for `lockMs` |
 * | stale-list        | listProjectBranchDatabases   | the list as it was before the last change |
 * | truncated-list    | listProjectBranchDatabases   | only the first `keep` databases (default half of them) |
 * | branch-replaced   | any                          | from this call on the branch has another id (`branchId`, or a new one), as after a restore |
 * | ids-replaced      | any                          | from this call on every database has a new id |
 * | made-by-sql       | any                          | just before the call SQL makes database `name` (its owner is the project's) |
 * | dropped-by-sql    | any                          | just before the call SQL drops database `name` |
 * | low-limit         | createProjectBranchDatabase  | the branch holds at most `limit` databases (or roles); `times` is without end |
 * | key-revoked       | any                          | 401, not acted; `times` is without end |
 *
 * `route` is an operationId of Neon's OpenAPI description, or "any", "reads" or "mutations".
 */
import { ROUTE_NAMES, ROUTES, type RouteName } from "./routes.ts"

export type FaultRoute = RouteName | "any" | "reads" | "mutations"

type Aim = {
  route?: FaultRoute
  /** Its id; all projects where none is given. */
  project?: string
  /** Calls let through first. */
  after?: number
  /** Calls struck. */
  times?: number
}

export type Fault = Aim &
  (
    | { kind: "locked" | "unavailable" | "drop-before" | "drop-after" | "truncated-json" }
    | { kind: "rate-limited"; retryAfter?: number }
    | {
        kind: "bad-gateway" | "gateway-timeout" | "not-found" | "operation-failed" | "operation-stuck"
        acted?: boolean
      }
    | { kind: "delay"; delayMs: number; acted?: boolean }
    | { kind: "no-content" | "operation-cancelled" }
    | { kind: "operation-error"; retryMs?: number }
    | { kind: "background-lock"; lockMs: number }
    | { kind: "stale-list" | "ids-replaced" | "key-revoked" }
    | { kind: "truncated-list"; keep?: number }
    | { kind: "branch-replaced"; branchId?: string }
    | { kind: "made-by-sql" | "dropped-by-sql"; name: string }
    | { kind: "low-limit"; limit: number }
  )

export type FaultKind = Fault["kind"]

/** A fault with what is left of it; `times` is null when it has no end. */
type ArmedFault = Fault & { route: FaultRoute; after: number; left: number | null }

export type Faults = {
  add: (...faults: Fault[]) => void
  clear: () => void
  /** Those that are not spent, in the order in which they were switched on. */
  list: () => ArmedFault[]
}

export const DEFAULT_ROUTES: Record<FaultKind, FaultRoute> = {
  locked: "mutations",
  "rate-limited": "any",
  unavailable: "any",
  "bad-gateway": "any",
  "gateway-timeout": "any",
  delay: "any",
  "drop-before": "any",
  "drop-after": "any",
  "truncated-json": "any",
  "not-found": "getProjectBranchDatabase",
  "no-content": "deleteProjectBranchDatabase",
  "operation-failed": "mutations",
  "operation-stuck": "mutations",
  "operation-error": "mutations",
  "operation-cancelled": "mutations",
  "background-lock": "mutations",
  "stale-list": "listProjectBranchDatabases",
  "truncated-list": "listProjectBranchDatabases",
  "branch-replaced": "any",
  "ids-replaced": "any",
  "made-by-sql": "any",
  "dropped-by-sql": "any",
  "low-limit": "createProjectBranchDatabase",
  "key-revoked": "any",
}

const WITHOUT_END: ReadonlySet<FaultKind> = new Set(["low-limit", "key-revoked"])
const OF_THE_LIST: ReadonlySet<FaultKind> = new Set(["stale-list", "truncated-list"])

/** Keeps the faults that are switched on; `strike` says which one, if any, a call meets, and counts it. */
export function createFaults(onClear: () => void): {
  faults: Faults
  strike: (route: RouteName, project: string | undefined) => Fault | undefined
} {
  let armed: ArmedFault[] = []
  return {
    faults: {
      add: (...added) => {
        armed.push(...added.map((fault) => arm(fault)))
      },
      clear: () => {
        armed = []
        onClear()
      },
      list: () => structuredClone(armed),
    },
    strike: (route, project) => {
      for (const fault of armed) {
        if (!covers(fault.route, route)) continue
        if (fault.project !== undefined && fault.project !== project) continue
        if (fault.after > 0) {
          fault.after--
          continue
        }
        if (fault.left !== null) fault.left--
        armed = armed.filter((each) => each.left !== 0)
        return fault
      }
      return undefined
    },
  }
}

function arm(fault: Fault): ArmedFault {
  const route = fault.route ?? DEFAULT_ROUTES[fault.kind]
  if (OF_THE_LIST.has(fault.kind) && route !== DEFAULT_ROUTES[fault.kind]) {
    throw new Error(`${fault.kind} can only strike ${DEFAULT_ROUTES[fault.kind]}`)
  }
  const endless = WITHOUT_END.has(fault.kind)
  return { ...fault, route, after: fault.after ?? 0, left: fault.times ?? (endless ? null : 1) }
}

function covers(aim: FaultRoute, route: RouteName): boolean {
  if (aim === "any") return true
  const isRead = ROUTES[route].method === "GET"
  if (aim === "reads") return isRead
  if (aim === "mutations") return !isRead
  return aim === route
}

/** Whether `value` is a route that a fault can be aimed at. */
export const isFaultRoute = (value: unknown): value is FaultRoute =>
  ["any", "reads", "mutations", ...ROUTE_NAMES].includes(value as string)
