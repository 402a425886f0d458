/** The host that a request is sent to. */
import type { IncomingMessage } from "node:http"
import { Problem } from "./problems.ts"

/** The request's host in lower case, without a port and a final dot; "" where it names none. Throws Problem where it names two. */
export function hostOf({ headersDistinct }: Pick<IncomingMessage, "headersDistinct">): string {
  const values = headersDistinct["host"] ?? []
  if (values.length > 1)
    throw new Problem("tenant-repeated", `the header Host was sent ${values.length} times`)
  return (values[0] ?? "")
    .toLowerCase()
    .replace(/:\d{1,5}$/, "")
    .replace(/\.$/, "")
}

/**
 * What stands before one of our own domains: "shopify" of shopify.shop.example, "" of shop.example; undefined elsewhere. Where
 * one domain lies in another, the longer one counts.
 */
export function labelOf(host: string, domains: readonly string[]): string | undefined {
  let found: string | undefined
  for (const one of domains) {
    const isIn = host === one || host.endsWith(`.${one}`)
    if (isIn && one.length > (found?.length ?? 0)) found = one
  }
  return found === undefined ? undefined : host.slice(0, -found.length - 1)
}
