/** What every set of routes shares. */
import type { RequestHandler } from "express"
import { Problem } from "./problems.ts"

/** Ends a route's list of methods; `allow` is the value of the header Allow. */
export const methodNotAllowed =
  (allow: string): RequestHandler =>
  (request) => {
    throw new Problem("method-not-allowed", `${request.method} is not allowed here`, { allow })
  }
