import { afflict } from "./afflict.ts"
import { administer, isAdmin } from "./admin.ts"
import type { FaultBox, Hit } from "./armed.ts"
import type { Frame } from "./bundle.ts"
import type { RecordedCall } from "./calls.ts"
import { callerOf, type Caller, type Directory } from "./identity.ts"
import { apiVersionOf } from "./input.ts"
import { operations } from "./operations.ts"
import type { Shape } from "./paging.ts"
import { Problem } from "./problem.ts"
import { jsonReply, parseJson, problemReply, type Incoming, type Outcome, type Reply } from "./reply.ts"
import { authorize, forbidden } from "./roles.ts"
import { routeOf, type Route } from "./routes.ts"
import type { Store } from "./store.ts"

/** All that the data plane works with; times and the clock in milliseconds. */
export type DataPlane = {
  store: Store
  directory: Directory
  faults: FaultBox
  record: (call: RecordedCall) => void
  frame: () => Frame
  now: () => number
  deletingMs: number
  recoveringMs: number
  /** Every how many pages one comes out short or empty; 0 for never. */
  irregularPages: number
  closing: AbortSignal
}

function unauthorized(directory: Directory, reason: string): Reply {
  const authority = `https://login.microsoftonline.com/${directory.tenant}`
  return problemReply(new Problem(401, "Unauthorized", `AKV10000: ${reason}`), {
    "www-authenticate": `Bearer authorization="${authority}", resource="https://vault.azure.net"`,
  })
}

/** The shape that a fault gives to a page; `usual` where no fault speaks. */
function shapeOf(hit: Hit | undefined, usual: Shape): Shape {
  if (hit?.fault.kind === "truncated-list") return "last"
  if (hit?.fault.kind === "empty-page") return "empty"
  if (hit?.fault.kind === "short-page") return "short"
  return usual
}

/** Counts pages of lists: every n-th is irregular, short and empty in turn, so that a list always comes to its end. */
function irregularity(every: number): () => Shape {
  let pages = 0
  return () => {
    pages += 1
    if (every === 0 || pages % every !== 0) return "full"
    return (pages / every) % 2 === 1 ? "short" : "empty"
  }
}

/** Makes the function that answers every request to the vault. */
export function dataPlane(plane: DataPlane): (incoming: Incoming) => Promise<Outcome> {
  const { store, directory, faults } = plane
  const nextShape = irregularity(plane.irregularPages)

  async function act(incoming: Incoming, route: Route, caller: Caller, hit: Hit | undefined): Promise<Reply> {
    try {
      const apiVersion = apiVersionOf(incoming.url.searchParams)
      authorize(caller, route.operation)
      const now = plane.now()
      const frame = plane.frame()
      const lists = route.operation.startsWith("SecretList")
      const answer = operations[route.operation]({
        name: route.name ?? "",
        version: route.version,
        body: incoming.body === "" ? undefined : parseJson(incoming.body),
        now,
        store,
        frame,
        deletingMs: plane.deletingMs,
        recoveringMs: plane.recoveringMs,
        list: {
          frame,
          view: hit?.fault.kind === "stale-list" ? hit.view : store,
          now,
          query: incoming.url.searchParams,
          apiVersion,
          shape: lists ? shapeOf(hit, nextShape()) : "full",
        },
      })
      if (incoming.method !== "GET") await store.settled()
      return jsonReply(answer.status, answer.body)
    } catch (error) {
      return problemReply(error)
    }
  }

  function course(incoming: Incoming, route: Route, caller: Caller): Promise<Outcome> {
    const meeting = {
      method: incoming.method,
      route: route.operation,
      name: route.name,
      clientId: caller.clientId,
    }
    const hit = faults.meet(meeting, plane.now())
    const go = () => act(incoming, route, caller, hit)
    if (hit === undefined) return go()
    return afflict(hit.fault, {
      act: go,
      forbidden: () => problemReply(forbidden(caller.clientId, route.operation)),
      unauthorized: () => unauthorized(directory, "The token was revoked."),
      closing: plane.closing,
      released: hit.released,
    })
  }

  return async (incoming) => {
    const { method, url } = incoming
    const note = (route: string, outcome: Outcome): Outcome => {
      plane.record({ method, route, status: outcome === "dropped" ? 0 : outcome.status })
      return outcome
    }
    const caller = callerOf(directory, incoming.authorization, plane.now())
    if (typeof caller === "string") return note("Unauthorized", unauthorized(directory, caller))
    if (isAdmin(url.pathname)) return administer(faults, caller, incoming)
    let route: Route
    try {
      route = routeOf(method, url.pathname)
    } catch (error) {
      return note("Unknown", problemReply(error))
    }
    return note(route.operation, await course(incoming, route, caller))
  }
}
