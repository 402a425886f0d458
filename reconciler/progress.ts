/** How far a command over many tenants has come, for the person who waits for it. */
export type Count = {
  total: number
  done: number
  failed: number
  /** Milliseconds since it began. */
  ms: number
}

/** One line: tenants done and failed, tenants a second, and the time left. `width` in columns. */
export function renderBar({ total, done, failed, ms }: Count, width: number): string {
  const ended = done + failed
  const rate = ms > 0 ? (ended / ms) * 1000 : 0
  const left = rate > 0 ? `${clock((total - ended) / rate)} left` : "…"
  const text = ` ${ended}/${total}  ${failed} failed  ${rate.toFixed(1)}/s  ${left}`
  const room = Math.max(0, Math.min(40, width - text.length - 3))
  const filled = total > 0 ? Math.round((room * ended) / total) : room
  const bar = room > 0 ? `[${"█".repeat(filled)}${"░".repeat(room - filled)}]` : ""
  return (bar + text).slice(0, Math.max(0, width - 1))
}

const pad = (n: number) => String(n).padStart(2, "0")

/** "42 s", "3 min 05 s", "2 h 10 min" */
function clock(seconds: number): string {
  const whole = Math.ceil(seconds)
  if (whole < 60) return `${whole} s`
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${pad(whole % 60)} s`
  return `${Math.floor(whole / 3600)} h ${pad(Math.floor((whole % 3600) / 60))} min`
}

type Terminal = { isTTY?: boolean; columns?: number; write: (text: string) => unknown }

export type ProgressView = {
  /** Says how many there are in all, as soon as that is known. */
  expect: (total: number) => void
  /** One is through; `line` says what became of it. */
  tick: (outcome: { failed: boolean; line: string }) => void
  /** A line that is no tenant's. */
  say: (line: string) => void
  end: () => void
}

/** A bar at the bottom of a terminal, above it only what failed; a line for each tenant where it is none. */
export function showProgress(stream: Terminal, now: () => number): ProgressView {
  const count: Count = { total: 0, done: 0, failed: 0, ms: 0 }
  const begun = now()
  const isTerminal = stream.isTTY === true
  const erase = () => isTerminal && stream.write("\r\u001B[K")
  const draw = () => {
    count.ms = now() - begun
    if (isTerminal && count.total > 0) stream.write(renderBar(count, stream.columns ?? 80))
  }
  const say = (line: string) => {
    erase()
    stream.write(`${line}\n`)
    draw()
  }
  return {
    expect: (total) => {
      count.total = total
      erase()
      draw()
    },
    tick: ({ failed, line }) => {
      if (failed) count.failed += 1
      else count.done += 1
      if (failed || !isTerminal) return say(line)
      erase()
      draw()
    },
    say,
    end: () => {
      erase()
    },
  }
}
