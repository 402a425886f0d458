/** Errors that people read. The message says what, where and what to do; it never holds a credential. */

/** Something a person must mend; trying again cannot. `reason` is a condition's reason, in CamelCase. */
export class TerminalError extends Error {
  override readonly name: string = "TerminalError"
  readonly reason: string
  constructor(reason: string, message: string) {
    super(message)
    this.reason = reason
  }
}

/** A passing fault of a system that we call; worth another try later. `retryAfter` is in milliseconds. */
export class TransientError extends Error {
  override readonly name: string = "TransientError"
  readonly reason: string
  readonly retryAfter: number | undefined
  constructor(reason: string, message: string, retryAfter?: number) {
    super(message)
    this.reason = reason
    this.retryAfter = retryAfter
  }
}
