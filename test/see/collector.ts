/** A receiver of traces, as an OpenTelemetry collector is one: OTLP over HTTP in JSON. */
import { once } from "node:events"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { text } from "node:stream/consumers"

type SeenSpan = {
  name: string
  traceId: string
  spanId: string
  parentSpanId: string | undefined
  service: string
  attributes: Record<string, string | number>
  isError: boolean
}

type Value = { stringValue?: string; intValue?: number }
type Attribute = { key: string; value: Value }
type Body = {
  resourceSpans: {
    resource: { attributes: Attribute[] }
    scopeSpans: {
      spans: {
        name: string
        traceId: string
        spanId: string
        parentSpanId?: string
        attributes: Attribute[]
        status: { code?: number }
      }[]
    }[]
  }[]
}

const toRecord = (attributes: readonly Attribute[]) =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue ?? value.intValue ?? ""]))

/** Keeps every span that it is sent, and every body as it came. */
export async function startCollector() {
  const spans: SeenSpan[] = []
  const bodies: string[] = []
  const server = createServer(async (request, response) => {
    const body = await text(request)
    bodies.push(body)
    if (request.url === "/v1/traces") {
      for (const { resource, scopeSpans } of (JSON.parse(body) as Body).resourceSpans) {
        const service = String(toRecord(resource.attributes)["service.name"])
        for (const span of scopeSpans.flatMap((scope) => scope.spans)) {
          const { name, traceId, spanId, parentSpanId, attributes, status } = span
          const isError = status.code === 2
          spans.push({
            name,
            traceId,
            spanId,
            parentSpanId,
            service,
            attributes: toRecord(attributes),
            isError,
          })
        }
      }
    }
    response.writeHead(200, { "content-type": "application/json" }).end("{}")
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    bodies,
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}
