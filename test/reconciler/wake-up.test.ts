/** Commits arrive as git-sync and people publish them; each is one change. */
import {
  appendFileSync,
  mkdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { expect, onTestFinished, test } from "vitest"
import { readTenants } from "../../reconciler/desired.ts"
import { createWakeUp } from "../../reconciler/wake-up.ts"
import { folderOf } from "./folder.ts"

const FILES = 40
/** Milliseconds; longer than in production, since a loaded machine may hold up whoever writes the files. */
const QUIET = 500
const id = (n: number) => `78b0c444-49aa-4308-b35f-${String(n).padStart(12, "0")}`

/** A folder in which `current` leads to a commit, as git-sync makes it. */
async function repository() {
  const folder = await folderOf({})
  /** Publishes a commit of this many tenants: the whole tree first, then the link by a rename; the old tree goes. */
  const publish = (commit: string, tenants: number) => {
    const tree = path.join(folder, ".worktrees", commit)
    mkdirSync(path.join(tree, "tenants/team"), { recursive: true })
    writeFileSync(path.join(tree, "fleet.yaml"), "fleet: sample\n")
    for (let n = 0; n < tenants; n++)
      writeFileSync(path.join(tree, `tenants/team/${n}.yaml`), `id: ${id(n)}\nname: ${commit}-${n}\n`)
    symlinkSync(path.join(".worktrees", commit), path.join(folder, "tmp-link"))
    const before = exists(path.join(folder, "current"))
    renameSync(path.join(folder, "tmp-link"), path.join(folder, "current"))
    if (before) rmSync(path.join(folder, before), { recursive: true })
  }
  const current = path.join(folder, "current")
  return { publish, tenantsDir: path.join(current, "tenants"), fleetFile: path.join(current, "fleet.yaml") }
}

function exists(link: string): string | undefined {
  try {
    return readlinkSync(link)
  } catch {
    return undefined
  }
}

const never = new AbortController().signal

/** Two watchers of the same paths: one is told by the system, one polls. */
function watching(...paths: string[]) {
  const errors: unknown[] = []
  const watchers = [0, 80].map((polling) =>
    createWakeUp(paths, { polling, quiet: QUIET, onError: (error) => errors.push(error) }),
  )
  onTestFinished(async () => {
    for (const watcher of watchers) await watcher.close()
    expect(errors).toEqual([])
  })
  return {
    /** How often each would have run a pass because of what happens in `act`. */
    passes: async (act: () => unknown, each: () => unknown = () => {}) => {
      await sleep(500) // so that both have looked at what is there
      for (const watcher of watchers) watcher.arm()
      const acting = Promise.resolve(act())
      const counts = watchers.map(async (watcher) => {
        let count = 0
        while (await watcher.wait(2 * QUIET, never)) {
          watcher.arm()
          count++
          await each()
        }
        return count
      })
      await acting
      return Promise.all(counts)
    },
  }
}

test("a commit that git-sync publishes is one change, and the next one too", async () => {
  const { publish, tenantsDir, fleetFile } = await repository()
  publish("first", FILES)
  const { passes } = watching(tenantsDir, fleetFile)
  const seen: string[][] = []
  const look = async () =>
    seen.push([...new Set((await readTenants(tenantsDir)).tenants.map(({ name }) => name.split("-")[0]!))])
  expect(await passes(() => publish("second", FILES), look)).toEqual([1, 1])
  expect(await passes(() => publish("third", FILES - 1), look)).toEqual([1, 1])
  expect(seen).toEqual([["second"], ["second"], ["third"], ["third"]])
})

test("files that are written one after the other are one change, when the last is there", async () => {
  const folder = await folderOf({ "a.yaml": "a" })
  const { passes } = watching(folder)
  const counts: number[] = []
  const checkOut = async () => {
    for (let n = 0; n < FILES; n++) {
      writeFileSync(path.join(folder, `${n}.yaml`), `id: ${id(n)}\n`)
      await sleep(5)
      appendFileSync(path.join(folder, `${n}.yaml`), `name: T${n}\n`)
    }
  }
  const look = async () => counts.push((await readTenants(folder)).tenants.length)
  expect(await passes(checkOut, look)).toEqual([1, 1])
  expect(counts).toEqual([FILES, FILES])
})

test("a file that an editor replaces is one change", async () => {
  const folder = await folderOf({ "fleet.yaml": "a" })
  const file = path.join(folder, "fleet.yaml")
  const { passes } = watching(file)
  const save = () => {
    writeFileSync(`${file}~`, "b")
    renameSync(`${file}~`, file)
  }
  expect(await passes(save)).toEqual([1, 1])
  expect(await passes(save)).toEqual([1, 1])
})

test("a folder that is away when the watch begins is seen when it comes", async () => {
  const { publish, tenantsDir } = await repository()
  const { passes } = watching(tenantsDir)
  expect(await passes(() => publish("first", 1))).toEqual([1, 1])
})

test("nothing that happens is no change", async () => {
  const wakeUp = createWakeUp([await folderOf({ "a.yaml": "a" })], { polling: 0, onError: () => {} })
  expect(await wakeUp.wait(300, never)).toBe(false)
  const stop = new AbortController()
  const waiting = wakeUp.wait(60_000, stop.signal)
  stop.abort()
  expect(await waiting).toBe(false)
  await wakeUp.close()
})
