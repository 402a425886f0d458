/** A receiver of traces by gRPC, as the agent of Azure Container Apps is one; it keeps what it is sent as it came. */
import { createRequire } from "node:module"

// The exporter's own gRPC, which carries no types of use here.
/* oxlint-disable typescript/no-explicit-any, typescript/no-unsafe-call */
const exporter = createRequire(
  createRequire(import.meta.url).resolve("@opentelemetry/exporter-trace-otlp-grpc"),
)
const grpc: any = exporter("@grpc/grpc-js")

const asItIs = (bytes: Buffer) => bytes
/** Source: opentelemetry/proto/collector/trace/v1/trace_service.proto of OTLP. */
const SERVICE = {
  export: {
    path: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    requestStream: false,
    responseStream: false,
    requestSerialize: asItIs,
    requestDeserialize: asItIs,
    responseSerialize: asItIs,
    responseDeserialize: asItIs,
  },
}

export async function startGrpcCollector() {
  const bodies: Buffer[] = []
  const server = new grpc.Server()
  server.addService(SERVICE, {
    export: (call: { request: Buffer }, done: (error: null, answer: Buffer) => void) => {
      bodies.push(call.request)
      done(null, Buffer.alloc(0))
    },
  })
  const port = await new Promise<number>((resolve, reject) => {
    const bound = (error: Error | null, found: number) => (error ? reject(error) : resolve(found))
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), bound)
  })
  return {
    url: `http://127.0.0.1:${port}`,
    /** Everything that came, as text: names stand in it as they are. */
    received: () => Buffer.concat(bodies).toString("utf8"),
    close: () => server.forceShutdown() as void,
  }
}
