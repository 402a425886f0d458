/** Where traces are sent, as OpenTelemetry's own variables say. Without them nothing of its SDK is loaded. */
import type { Logger } from "./log.ts"
import { openSpans } from "./spans.ts"

/** Ends tracing: what is not sent yet is sent, for two seconds at most. */
export type EndTracing = () => Promise<void>

const END_WITHIN = 2000
const EXPORTERS: Record<string, () => Promise<{ OTLPTraceExporter: new () => object }>> = {
  "http/protobuf": () => import("@opentelemetry/exporter-trace-otlp-proto"),
  "http/json": () => import("@opentelemetry/exporter-trace-otlp-http"),
  grpc: () => import("@opentelemetry/exporter-trace-otlp-grpc"),
}

/** How traces are to be sent; undefined: not at all. Source: the specification of OpenTelemetry's SDK configuration. */
function protocolOf(environment: NodeJS.ProcessEnv): string | undefined {
  const isWanted =
    (environment["OTEL_EXPORTER_OTLP_ENDPOINT"] || environment["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]) &&
    environment["OTEL_SDK_DISABLED"]?.toLowerCase() !== "true" &&
    (environment["OTEL_TRACES_EXPORTER"] || "otlp") === "otlp"
  if (!isWanted) return undefined
  return (
    environment["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] ||
    environment["OTEL_EXPORTER_OTLP_PROTOCOL"] ||
    "http/protobuf"
  )
}

/** Sends traces from now on where the variables say so. `service` is its name unless OTEL_SERVICE_NAME is set. */
export async function startTracing(service: string, log: Logger): Promise<EndTracing> {
  const protocol = protocolOf(process.env)
  if (protocol === undefined) return async () => {}
  const load = EXPORTERS[protocol]
  if (!load) {
    const known = Object.keys(EXPORTERS).join(", ")
    log.error(
      { protocol, known },
      "traces are not sent: set OTEL_EXPORTER_OTLP_PROTOCOL to one that is known",
    )
    return async () => {}
  }
  const [sdk, resources, { OTLPTraceExporter }] = await Promise.all([
    import("@opentelemetry/sdk-trace-node"),
    import("@opentelemetry/resources"),
    load(),
  ])
  const { defaultResource, detectResources, envDetector, resourceFromAttributes } = resources
  const provider = new sdk.NodeTracerProvider({
    resource: defaultResource()
      .merge(resourceFromAttributes({ "service.name": service }))
      .merge(detectResources({ detectors: [envDetector] })),
    // The queue holds OTEL_BSP_MAX_QUEUE_SIZE spans, 2048 where it is not set, and drops what is more.
    spanProcessors: [new sdk.BatchSpanProcessor(new OTLPTraceExporter() as sdkExporter)],
  })
  provider.register()
  openSpans()
  log.debug({ protocol, service }, "traces are sent")
  return async () => {
    const late = Promise.withResolvers<void>()
    const timer = setTimeout(late.resolve, END_WITHIN)
    await Promise.race([provider.shutdown().catch(() => {}), late.promise])
    clearTimeout(timer)
  }
}

type sdkExporter = ConstructorParameters<
  (typeof import("@opentelemetry/sdk-trace-node"))["BatchSpanProcessor"]
>[0]
