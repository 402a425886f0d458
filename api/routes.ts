/** Routes from operations, and what every set of routes shares. */
import { type RequestHandler, Router } from "express"
import type { Described } from "./operation.ts"
import { Problem } from "./problems.ts"

/** Ends a route's list of methods; `allow` is the value of the header Allow. */
export const methodNotAllowed =
  (allow: string): RequestHandler =>
  (request) => {
    throw new Problem("method-not-allowed", `${request.method} is not allowed here`, { allow })
  }

/** A route for each path, with a handler for each of its operations. */
export function mount<O extends Described>(
  operations: readonly O[],
  handler: (operation: O) => RequestHandler,
): Router {
  const router = Router()
  for (const [path, methods] of Map.groupBy(operations, (operation) => operation.path)) {
    const route = router.route(path.replaceAll(/\{(\w+)\}/g, ":$1"))
    for (const operation of methods) route[operation.method](handler(operation))
    const allowed = methods.map(({ method }) => (method === "get" ? "GET, HEAD" : method.toUpperCase()))
    route.all(methodNotAllowed(allowed.join(", ")))
  }
  return router
}
