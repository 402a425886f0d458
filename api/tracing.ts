/** One trace per request: it goes on with the caller's, where the caller sent one (W3C Trace Context). */
import { context, propagation, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api"
import type { RequestHandler } from "express"
import { areSpansOpen } from "../reconciler/spans.ts"
import { routeOf } from "./metrics.ts"

/** A span for every request, with its tenant's id once that is known; nothing where tracing is off. */
export const traceRequests: RequestHandler = (request, response, next) => {
  if (!areSpansOpen()) {
    next()
    return
  }
  const parent = propagation.extract(context.active(), request.headers)
  const attributes = { "http.request.method": request.method }
  const span = trace
    .getTracer("tenantry")
    .startSpan(request.method, { kind: SpanKind.SERVER, attributes }, parent)
  response.once("close", () => {
    const route = routeOf(response)
    span.updateName(`${request.method} ${route}`)
    span.setAttribute("http.route", route)
    span.setAttribute("tenantry.request", String(response.locals["requestId"]))
    const { tenant } = response.locals as { tenant?: string }
    if (tenant !== undefined) span.setAttribute("tenantry.tenant.id", tenant)
    if (response.writableFinished) span.setAttribute("http.response.status_code", response.statusCode)
    if (response.statusCode >= 500) span.setStatus({ code: SpanStatusCode.ERROR })
    span.end()
  })
  context.with(trace.setSpan(parent, span), next)
}
