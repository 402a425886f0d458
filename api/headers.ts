/** helmet's headers, which are the same for every answer. */
import type { ServerResponse } from "node:http"
import helmet from "helmet"

/** Asks helmet once, and gives what sets its headers. */
export function securityHeaders(): (response: ServerResponse) => void {
  const headers = new Map<string, string>()
  const recorder = {
    setHeader: (name: string, value: string) => void headers.set(name, value),
    removeHeader: (name: string) => void headers.delete(name),
  }
  helmet()({} as never, recorder as never, (error?: unknown) => {
    if (error) throw error as Error
  })
  const all = [...headers]
  return (response) => {
    for (const [name, value] of all) response.setHeader(name, value)
  }
}
