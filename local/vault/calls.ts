/** A call as it was answered; status 0 means that the connection was closed without an answer. */
export type RecordedCall = { method: string; route: string; status: number }

const kept = 10_000

/** Remembers the newest 10,000 calls, oldest first. */
export function recordCalls(): {
  record: (call: RecordedCall) => void
  calls: () => readonly RecordedCall[]
  reset: () => void
} {
  let calls: RecordedCall[] = []
  return {
    record(call) {
      calls.push(call)
      if (calls.length >= 2 * kept) calls = calls.slice(-kept)
    },
    calls: () => calls.slice(-kept),
    reset() {
      calls = []
    },
  }
}
