/** Spans of OpenTelemetry, where tracing is on; where it is off, the work and nothing else. */
import {
  type Attributes,
  context,
  propagation,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api"
import { redact } from "./log.ts"

let isOn = false

/** From now on spans are made. `startTracing` calls it once there is somewhere to send them. */
export const openSpans = (): void => void (isOn = true)
export const areSpansOpen = (): boolean => isOn

type SpanOptions = { attributes?: Attributes; kind?: SpanKind; isRoot?: boolean }

/** Runs `work` in a span of its own, which ends with it and says whether it failed. No credential gets into a span. */
export async function inSpan<T>(
  name: string,
  { attributes = {}, kind = SpanKind.INTERNAL, isRoot = false }: SpanOptions,
  work: (span?: Span) => Promise<T>,
): Promise<T> {
  if (!isOn) return work()
  return trace
    .getTracer("tenantry")
    .startActiveSpan(name, { attributes, kind, root: isRoot }, async (span) => {
      try {
        return await work(span)
      } catch (error) {
        // Not recordException: what an SDK's error holds besides its message is nobody's business.
        const message = redact(error instanceof Error ? error.message : String(error))
        span.setStatus({ code: SpanStatusCode.ERROR, message })
        throw error
      } finally {
        span.end()
      }
    })
}

/** Sets headers that tell the callee which trace this is (W3C Trace Context). */
export function passOnTrace(set: (name: string, value: string) => void): void {
  if (isOn) propagation.inject(context.active(), set, { set: (carrier, name, value) => carrier(name, value) })
}
