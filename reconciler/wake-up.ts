/** Says when what a pass reads has changed, and has come to rest again. */
import { realpathSync, statSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import { type FSWatcher, watch } from "chokidar"

/** Milliseconds between two looks at where the watched paths lead. */
const LOOK = 250
/** Editors and checkouts write in several steps: so long nothing may change, in milliseconds, … */
const QUIET = 100
/** … but nobody who writes without end holds a pass up for longer than this. */
const LONGEST = 5000

export type WakeUp = {
  /** A change from now on is news. */
  arm: () => void
  /** Resolves with true when something has changed since `arm` and has come to rest; with false after `ms` or at `signal`. */
  wait: (ms: number, signal: AbortSignal) => Promise<boolean>
  close: () => Promise<void>
}

/**
 * Watches files and folders. A path that leads elsewhere than before, since a link in it was replaced, is one change,
 * and what happens to the old place no longer counts: that is how git-sync and others publish a commit. `polling`:
 * milliseconds between two looks at each file, for volumes that tell of no changes; 0 asks the system to tell. `quiet`:
 * for so many milliseconds nothing may change before a change counts.
 */
export function createWakeUp(
  paths: readonly string[],
  {
    polling,
    onError,
    quiet = QUIET + polling,
  }: { polling: number; onError: (error: unknown) => void; quiet?: number },
): WakeUp {
  let news = Promise.withResolvers<void>()
  let last = -Infinity
  const changed = () => {
    last = performance.now()
    news.resolve()
  }
  /** One replaced link may lead to several of the paths: all are looked at before anybody calls it a change. */
  const look = () => {
    if (sources.map((source) => source.move()).includes(true)) changed()
  }
  const touched = () => {
    look()
    changed()
  }
  const sources = paths.map((each) => watchPlace(each, { polling, onError, touched }))
  const looking = setInterval(look, LOOK)
  return {
    arm: () => {
      news = Promise.withResolvers()
    },
    wait: async (ms, signal) => {
      const timer = new AbortController()
      const end = AbortSignal.any([signal, timer.signal])
      const isNews = await Promise.race([
        news.promise.then(() => true),
        sleep(ms, false, { signal: end }).catch(() => false),
      ])
      timer.abort()
      const begun = performance.now()
      for (;;) {
        const now = performance.now()
        const rest = Math.min(last + quiet, begun + LONGEST) - now
        if (rest <= 0 || signal.aborted) return isNews
        await sleep(rest, undefined, { signal }).catch(() => {})
        // While this process was held up, nobody could tell it of changes.
        const woken = performance.now()
        if (woken - now - rest > quiet / 2) last = woken
      }
    },
    close: async () => {
      clearInterval(looking)
      await Promise.all(sources.map((source) => source.close()))
    },
  }
}

/** Watches wherever `given` leads now. */
function watchPlace(
  given: string,
  { polling, onError, touched }: { polling: number; onError: (error: unknown) => void; touched: () => void },
) {
  let place = placeOf(given)
  const begin = (): FSWatcher => {
    const mine = watch(place?.real ?? given, {
      ignoreInitial: true,
      usePolling: polling > 0,
      interval: polling || LOOK,
    })
    mine.on("error", onError)
    mine.on("all", () => {
      // What was seen in the old place may be told late.
      if (mine === watcher) touched()
    })
    return mine
  }
  let watcher = begin()

  return {
    /** Goes where the path leads now. Returns whether that is elsewhere. */
    move: (): boolean => {
      const now = placeOf(given)
      if (now?.id === place?.id) return false
      place = now
      void watcher.close()
      watcher = begin()
      return true
    },
    close: () => watcher.close(),
  }
}

/** undefined: nowhere. A file that is replaced is in the same place; a folder that is replaced is another one. */
function placeOf(given: string): { real: string; id: string } | undefined {
  try {
    const real = realpathSync(given)
    const stat = statSync(real, { bigint: true })
    return { real, id: stat.isDirectory() ? `${real} ${stat.dev} ${stat.ino}` : real }
  } catch {
    return undefined
  }
}
