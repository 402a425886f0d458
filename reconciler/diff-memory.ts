/** The last diff, kept while it holds: most passes find everything as the one before did. */
import { endOfGrace } from "./absence.ts"
import { type Desired, type Diff, diff, type Observed } from "./plan.ts"
import { isSameRecord } from "./same.ts"

type Remembered = { desired: Desired; observed: Observed; from: number; until: number; answer: Diff }

/**
 * `diff`, which answers as it did the last time where nothing was to be done then, the lists and the files are the very
 * same values, and no grace period has ended since.
 */
export function rememberDiff(): typeof diff {
  let last: Remembered | undefined
  return (desired, observed, now) => {
    if (
      last &&
      now >= last.from &&
      now < last.until &&
      isSameRecord(last.desired, desired) &&
      isSameRecord(last.observed, observed)
    )
      return last.answer
    const answer = diff(desired, observed, now)
    const isQuiet = answer.changes.length + answer.stalls.length + answer.contests.length === 0
    last = isQuiet ? { desired, observed, from: now, until: nextPurge(desired, observed), answer } : undefined
    return answer
  }
}

/** When the first grace period ends: the one thing that time alone brings about. Milliseconds since 1970. */
const nextPurge = ({ fleet, gracePeriod }: Desired, { secrets }: Observed): number =>
  secrets.reduce(
    (soonest, secret) =>
      secret.entry?.retiredAt && secret.entry.fleet === fleet
        ? Math.min(soonest, endOfGrace(secret.entry.retiredAt, secret, gracePeriod))
        : soonest,
    Number.POSITIVE_INFINITY,
  )
