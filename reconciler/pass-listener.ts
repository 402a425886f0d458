/** What hears of passes while they are made: the log, the metrics, the events, the status page. */
import type { Progress } from "./apply.ts"
import type { Review } from "./reconcile.ts"

/** Times are milliseconds since 1970, `ms` is how long it took. */
export type PassEnd = {
  id: string
  at: number
  ms: number
  how: "done" | "incomplete" | "failed" | "lease-held"
}

export type PassListener = {
  begins: (id: string, at: number) => void
  /** The world was looked at, and this is to be done now. The status shows it already. */
  planned: (review: Review) => void
  progress: Progress
  /** The status shows what became of it. */
  ended: (end: PassEnd) => void
  /** Nothing happens until then, unless a file changes. */
  rests: (until: number) => void
}

/** One listener that tells all of these, in this order, what each of them wants to hear. */
export const tellAll = (...all: Partial<PassListener>[]): PassListener => ({
  begins: (id, at) => all.forEach((one) => one.begins?.(id, at)),
  planned: (review) => all.forEach((one) => one.planned?.(review)),
  progress: (event) => all.forEach((one) => one.progress?.(event)),
  ended: (end) => all.forEach((one) => one.ended?.(end)),
  rests: (until) => all.forEach((one) => one.rests?.(until)),
})
