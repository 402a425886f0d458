import {
  closeSync,
  existsSync,
  fdatasync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from "node:fs"
import { dirname } from "node:path"
import { promisify } from "node:util"

/** An append-only file of JSON lines. */
export type Journal = {
  /** Writes one line at once; a process that dies right after has not lost it. Throws when the disk refuses. */
  append: (entry: unknown) => void
  /** Resolves when everything appended so far is on the disk; callers at the same time share one sync. */
  settled(): Promise<void>
  /** Replaces the whole content in one step: a reader finds the old file or the new one. */
  replace(entries: Iterable<unknown>): void
  /** The number of lines in the file. */
  lines(): number
  close(): Promise<void>
}

const sync = promisify(fdatasync)

function writeAll(fd: number, text: string): number {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at)
  return bytes.length
}

function parseLines(file: string, text: string): { entries: unknown[]; torn: boolean } {
  const lines = text.split("\n")
  let torn = lines.pop() !== ""
  const entries: unknown[] = []
  for (const [index, line] of lines.entries()) {
    try {
      entries.push(JSON.parse(line))
    } catch (cause) {
      if (index < lines.length - 1) {
        throw new Error(
          `${file}:${index + 1} is not JSON: restore the file from a copy, or remove the folder to start empty`,
          { cause },
        )
      }
      torn = true
    }
  }
  return { entries, torn }
}

/** Replaces a file in one step, readable by its owner only: written aside, synced, renamed. */
export function replaceFile(file: string, text: string): number {
  const aside = `${file}.new`
  const fd = openSync(aside, "w", 0o600)
  let length: number
  try {
    length = writeAll(fd, text)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
  renameSync(aside, file)
  const directory = openSync(dirname(file), "r")
  try {
    fsyncSync(directory)
  } finally {
    closeSync(directory)
  }
  return length
}

/**
 * Opens a journal and reads what it holds. A last line cut short by a crash was never acknowledged: it is left out,
 * and `torn` says so. Throws, with file and line, when a line further up is damaged.
 */
export function openJournal(file: string): { journal: Journal; entries: unknown[]; torn: boolean } {
  if (!existsSync(file)) replaceFile(file, "")
  const text = readFileSync(file, "utf8")
  const { entries, torn } = parseLines(file, text)
  let fd = openSync(file, "a", 0o600)
  let length = Buffer.byteLength(text)
  let lines = entries.length
  let running: Promise<void> | undefined
  let waiting: Promise<void> | undefined
  let closed = false

  function start(): Promise<void> {
    running = sync(fd).finally(() => {
      running = undefined
    })
    return running
  }

  const journal: Journal = {
    append(entry) {
      if (closed) throw new Error(`${file} is closed`)
      try {
        length += writeAll(fd, `${JSON.stringify(entry)}\n`)
      } catch (error) {
        ftruncateSync(fd, length)
        throw error
      }
      lines += 1
    },
    settled() {
      if (running === undefined) return start()
      waiting ??= running
        .catch(() => undefined)
        .then(() => {
          waiting = undefined
          return start()
        })
      return waiting
    },
    replace(next) {
      const written = [...next].map((entry) => `${JSON.stringify(entry)}\n`)
      length = replaceFile(file, written.join(""))
      lines = written.length
      const previous = fd
      fd = openSync(file, "a", 0o600)
      if (running === undefined) closeSync(previous)
      else void running.catch(() => undefined).then(() => closeSync(previous))
    },
    lines: () => lines,
    async close() {
      await journal.settled()
      closed = true
      closeSync(fd)
    },
  }
  return { journal, entries, torn }
}
