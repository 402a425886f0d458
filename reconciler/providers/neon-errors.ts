/** What Neon's failures mean. The client's errors hold the API key, so none of them leaves this file. */
import { z } from "zod"
import { TerminalError, TransientError } from "../errors.ts"

/** Whatever Neon asks for, no longer than this; milliseconds. */
const LONGEST_WAIT = 60_000

const AxiosShape = z.object({
  code: z.string().optional(),
  response: z
    .object({
      status: z.number(),
      // An object of a class of Axios's own, which is no plain record.
      headers: z.object({ "retry-after": z.coerce.number().positive().optional().catch(undefined) }),
      data: z.object({ message: z.string(), request_id: z.string().optional() }).optional().catch(undefined),
    })
    .optional()
    .catch(undefined),
})

/** One request that failed; `status` is undefined where no whole answer came. */
export class NeonFailure extends Error {
  override readonly name: string = "NeonFailure"
  readonly status: number | undefined
  /** Milliseconds, where Neon said so. */
  readonly retryAfter: number | undefined

  constructor(status: number | undefined, message: string, retryAfter?: number) {
    super(message)
    this.status = status
    this.retryAfter = retryAfter
  }

  /** Surely not acted on: busy, throttled or closed for a moment. */
  get isPassing(): boolean {
    return this.status === 423 || this.status === 429 || this.status === 503
  }

  /** Perhaps acted on: only a look at the world tells. */
  get isAmbiguous(): boolean {
    return this.status === undefined || this.status === 408 || (this.status >= 500 && this.status !== 503)
  }

  /** Takes what is safe to know from the client's error, and throws it. */
  static raise(this: void, error: unknown): never {
    const { code, response } = AxiosShape.safeParse(error).data ?? {}
    if (!response) throw new NeonFailure(undefined, code ?? "no answer")
    const { message, request_id } = response.data ?? { message: "no message" }
    const seconds = response.headers["retry-after"]
    const said = request_id ? `${message} (request ${request_id})` : message
    throw new NeonFailure(response.status, said, seconds && Math.min(seconds * 1000, LONGEST_WAIT))
  }
}

/** An answer of another shape than promised (an HTML page, truncated JSON) says nothing about what was done. */
export function parse<T>(schema: z.ZodType<T>, response: { data: unknown }): T {
  const parsed = schema.safeParse(response.data)
  if (!parsed.success) throw new NeonFailure(undefined, "an answer of an unknown shape")
  return parsed.data
}

/** A failure that retries did not mend, in words for a person. */
export function neonError(what: string, failure: NeonFailure): TerminalError | TransientError {
  const said = `could not ${what}: ${[failure.status, failure.message].filter(Boolean).join(" ")}`
  switch (failure.status) {
    case 401:
    case 403:
      return new TerminalError(
        "NeonUnauthorized",
        `${said}; check NEON_API_KEY and its rights on the project`,
      )
    case 404:
      return new TerminalError("NeonNotFound", `${said}; check NEON_PROJECT_ID and NEON_BRANCH_ID`)
    case 422:
      if (!/not ready/i.test(failure.message)) return new TerminalError("NeonRejected", said)
      return new TransientError("NeonNotReady", said)
    case 423:
      return new TransientError("NeonLocked", said)
    case 429:
      return new TransientError("NeonThrottled", said, failure.retryAfter)
    default:
      return new TransientError("NeonUnavailable", said)
  }
}
