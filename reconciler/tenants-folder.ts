/** Which files a tenants folder holds, at one moment: never half of one commit and half of the next. */
import { readdirSync, realpathSync, statSync } from "node:fs"
import path from "node:path"
import { setImmediate as breathe, setTimeout as sleep } from "node:timers/promises"
import { TerminalError, TransientError } from "./errors.ts"

/** `real`: where it is read; `file`: how people know it. */
export type Listed = { file: string; real: string }

/** Folders beyond these are a mistake, and everything that is read is kept in memory. */
const MAX_FILES = 100_000
/** How often a folder that changes while it is read is read again, and the pause before; milliseconds. */
const TRIES = 10
const PAUSE = 100
/** Files looked at in one go. Asking without waiting is some five times as fast, and must not hold up the rest for long. */
const SLICE = 50

/**
 * Hands `read` every .yaml and .yml file below `directory`, but for hidden files and folders, in order, and returns
 * what it makes of them. The folder's link is followed once, so a commit that replaces another one is seen whole. Where
 * files came or went meanwhile, all is read again. Throws TerminalError where the folder cannot be read: a folder that
 * is away is not an empty one; TransientError where it does not come to rest.
 */
export async function readFolder<T>(directory: string, read: (listed: Listed) => T): Promise<T[]> {
  for (let attempt = 1; attempt <= TRIES; attempt++) {
    if (attempt > 1) await sleep(PAUSE)
    const before = look(directory)
    if (!before) continue
    const results: T[] = []
    for (const [index, listed] of before.files.entries()) {
      results.push(read(listed))
      if (index % SLICE === SLICE - 1) await breathe()
    }
    if (isSame(directory, before)) return results
  }
  throw new TransientError(
    "FilesMoving",
    `the tenants folder ${directory} changed each of ${TRIES} times that it was read: something writes to it all the time`,
  )
}

type Look = { root: string; files: Listed[]; folders: Map<string, string> }

/** undefined: something below went away while it was looked at. */
function look(directory: string): Look | undefined {
  const root = realpathOf(directory)
  const found: Look = { root, files: [], folders: new Map() }
  try {
    walk(directory, "", found)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === "ENOENT") return undefined
    throw error instanceof TerminalError ? error : unreadable(directory, error)
  }
  found.files.sort((a, b) => (a.file < b.file ? -1 : 1))
  return found
}

function realpathOf(directory: string): string {
  try {
    return realpathSync(directory)
  } catch (error) {
    throw unreadable(directory, error)
  }
}

function unreadable(directory: string, error: unknown): TerminalError {
  const code = (error as NodeJS.ErrnoException).code ?? String(error)
  return new TerminalError(
    "NoTenantsFolder",
    `the tenants folder ${directory} cannot be read (${code}): check TENANTS_DIR`,
  )
}

function walk(directory: string, below: string, found: Look): void {
  const folder = path.join(found.root, below)
  found.folders.set(folder, stampOf(folder))
  const [shown, real] = [beginning(path.join(directory, below)), beginning(folder)]
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const { name } = entry
    if (name.startsWith(".")) continue
    // A link to a folder is handed over as a file, and cannot be read as one: what it holds must not seem to be gone.
    if (/\.ya?ml$/i.test(name) || (entry.isSymbolicLink() && isFolder(real + name)))
      found.files.push({ file: shown + name, real: real + name })
    if (entry.isDirectory()) walk(directory, path.join(below, name), found)
  }
  if (found.files.length > MAX_FILES)
    throw new TerminalError(
      "TooManyFiles",
      `${directory} holds more than ${MAX_FILES} files: is it the right folder?`,
    )
}

/** What the paths of a folder's files begin with; one join for each of thousands takes its time. */
const beginning = (folder: string): string => path.join(folder, "-").slice(0, -1)

const isFolder = (link: string): boolean => statSync(link, { throwIfNoEntry: false })?.isDirectory() ?? false

/** Changes when a file in the folder comes, goes or is replaced. */
function stampOf(folder: string): string {
  const { ino, mtimeNs } = statSync(folder, { bigint: true })
  return `${ino} ${mtimeNs}`
}

function isSame(directory: string, { root, folders }: Look): boolean {
  try {
    return (
      realpathSync(directory) === root && [...folders].every(([folder, stamp]) => stampOf(folder) === stamp)
    )
  } catch {
    return false
  }
}
