/** The Express application, made from what it depends on. */
import { randomUUID } from "node:crypto"
import express, { type ErrorRequestHandler, type Express, Router } from "express"
import { type Logger, withLogFields } from "../reconciler/log.ts"
import { administer, administration } from "./administration.ts"
import { carts } from "./carts.ts"
import { allowOrigins } from "./cors.ts"
import { ClientGone, forLog } from "./failures.ts"
import type { Fleet } from "./fleet.ts"
import { addHeader, secureAnswers } from "./headers.ts"
import { health, type Readiness } from "./health.ts"
import { MAX_BODY } from "./input.ts"
import { countRefusal, measureRequests } from "./metrics.ts"
import { describeApi } from "./openapi.ts"
import { perform } from "./perform.ts"
import { describeProblem, Problem, PROBLEMS, sendProblem } from "./problems.ts"
import { products } from "./products.ts"
import { reference } from "./reference.ts"
import { methodNotAllowed, mount } from "./routes.ts"
import { type Tenancy, tenancy } from "./tenancy.ts"
import { traceRequests } from "./tracing.ts"
import { users } from "./users.ts"
import { prefixOf, takePathTenant } from "./which-tenant.ts"

export type AppDependencies = Tenancy & {
  fleet: Fleet
  /** Whether callers need a token: the document says so. */
  isSecured: boolean
  /** Origins whose pages may call. */
  origins: ReadonlySet<string>
  /** How many proxies stand before this process and say whose request they pass on. */
  proxies: number
  readiness: Readiness
  log: Logger
}

/** Serves every tenant from its own database. Opens nothing until a request asks for it. */
export function createApp(dependencies: AppDependencies): Express {
  const { tenants, origins, proxies, isSecured, readiness, log } = dependencies
  const operations = [...products, ...carts, ...users]
  const app = express()
  app.disable("x-powered-by")
  app.disable("etag")
  app.set("trust proxy", proxies)
  secureAnswers(app)
  app.use(measureRequests, traceRequests)
  app.use((request, response, next) => {
    const requestId = randomUUID()
    response.locals["requestId"] = requestId
    addHeader(response, "X-Request-Id", requestId)
    // A client that keeps its connection would hold up a process that ends.
    if (readiness.isDraining()) response.setHeader("Connection", "close")
    if (request.httpVersion === "1.1" && request.headers.host === undefined)
      throw new Problem("request-malformed", "the header Host is missing")
    if (!request.url.startsWith("/")) throw new Problem("request-malformed", "the address is not a path")
    withLogFields({ requestId }, next)
  })
  if (origins.size > 0) app.use(allowOrigins(origins, tenants.header))
  if (tenants.sources.has("path")) {
    app.use((request, _response, next) => {
      takePathTenant(request)
      next()
    })
  }
  const admit = tenancy(dependencies)
  // First, because most requests are for these.
  app.use(mount(operations, (operation) => perform(operation, admit)))
  const document = describeApi(operations, administration, { tenants, isSecured })
  const others = Router()
  others.use(health(readiness), problemPages(), reference(document))
  others.use(mount(administration, administer(dependencies)))
  // These are nobody's in particular: /t/shopify/livez is nothing.
  app.use((request, response, next) => {
    if (prefixOf(request) === "") others(request, response, next)
    else next()
  })
  app.use((request) => {
    throw new Problem("route-not-found", `there is nothing at ${request.path.slice(0, 200)}`)
  })
  app.use(answerWithProblem(log))
  return app
}

function problemPages(): Router {
  const router = Router()
  router
    .route("/problems")
    .get((_request, response) => void response.json({ items: Object.keys(PROBLEMS).map(describeProblem) }))
    .all(methodNotAllowed("GET, HEAD"))
  router
    .route("/problems/:key")
    .get((request, response) => {
      const description = describeProblem(request.params.key)
      if (!description) throw new Problem("problem-not-found", "there is no such problem")
      response.json(description)
    })
    .all(methodNotAllowed("GET, HEAD"))
  return router
}

/** Four arguments: that is how Express tells an error handler. */
const answerWithProblem =
  (log: Logger): ErrorRequestHandler =>
  (error: unknown, request, response, next) => {
    if (error instanceof ClientGone) return
    const problem = toProblem(error)
    const requestId = String(response.locals["requestId"])
    const fields = {
      requestId,
      tenant: response.locals["tenant"],
      method: request.method,
      problem: problem.key,
    }
    const [status] = PROBLEMS[problem.key]
    countRefusal(problem.key)
    if (problem.key === "internal") log.error({ ...fields, error: forLog(error) }, "a request failed")
    else if (problem.key === "schema-behind")
      log.error({ ...fields, error: forLog(problem.cause) }, "a table or a column is not there")
    else if (status >= 500) log.warn({ ...fields, reason: problem.message }, "a request was turned away")
    else log.debug(fields, "a request was refused")
    if (response.headersSent) next(error)
    else sendProblem(response, problem, requestId)
  }

/** Express and its body parser throw errors with a `status` and, for bodies, a `type`. */
function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error
  const { status, type } = (error ?? {}) as { status?: unknown; type?: unknown }
  if (type === "entity.too.large")
    return new Problem("body-too-large", `a body has at most ${MAX_BODY} bytes`)
  if (status === 415) return new Problem("body-not-json", "the body's encoding is not supported")
  if (typeof status === "number" && status >= 400 && status < 500) {
    return new Problem("request-malformed", "the request's path, length or encoding cannot be understood")
  }
  return new Problem("internal", "the request failed; it is in the log under this requestId", {
    cause: error,
  })
}
