/**
 * What every answer's head says beside what is its own: helmet's headers, which are always the same, and what was added
 * to this one. All of it is written at once, because setting one header after the other costs Node a tenth of a request.
 */
import { ServerResponse } from "node:http"
import type { Express, Response } from "express"
import helmet from "helmet"

const ADDED = "addedHeaders"
const addedTo = (response: Response): string[] => (response.locals[ADDED] ??= []) as string[]

/** Says so too when the head is written. */
export const addHeader = (response: Response, name: string, value: string): void =>
  void addedTo(response).push(name, value)

/** Asks helmet once: names and values in turn. */
function helmetHeaders(): string[] {
  const headers = new Map<string, string>()
  const recorder = {
    setHeader: (name: string, value: string) => void headers.set(name, value),
    removeHeader: (name: string) => void headers.delete(name),
  }
  helmet()({} as never, recorder as never, (error?: unknown) => {
    if (error) throw error as Error
  })
  return [...headers].flat()
}

type WriteHead = (this: Response, status: number, ...more: unknown[]) => Response

/**
 * From now on each answer of `app` has helmet's headers and what was added to it, where its route says nothing else:
 * `writeHead` is called for every one, by Node where nobody else does.
 */
export function secureAnswers(app: Express): void {
  const always = helmetHeaders()
  const { writeHead } = ServerResponse.prototype as unknown as { writeHead: WriteHead }
  const extended: WriteHead = function (status, ...more) {
    const [own] = more
    const all = always.concat(addedTo(this))
    if (Array.isArray(own) && this.getHeaderNames().length === 0)
      return writeHead.call(this, status, all.concat(own as string[]))
    for (let n = 0; n < all.length; n += 2) {
      if (all[n] === "Vary") this.vary(all[n + 1]!)
      else if (!this.hasHeader(all[n]!)) this.setHeader(all[n]!, all[n + 1]!)
    }
    return writeHead.call(this, status, ...more)
  }
  app.response.writeHead = extended as Response["writeHead"]
}
