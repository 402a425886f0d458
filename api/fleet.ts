/** What administrators may do with the fleet: they change files in the tenants folder, and the reconciler does the rest. */
import { randomUUID } from "node:crypto"
import { setTimeout as sleep } from "node:timers/promises"
import { TerminalError, TransientError } from "../reconciler/errors.ts"
import { isRetired } from "../reconciler/ledger.ts"
import type { CredentialReader } from "../reconciler/providers/vault.ts"
import { readSeedNames, seedFault } from "../reconciler/seeds.ts"
import { isSameName, type Tenant, TenantId } from "../reconciler/tenant.ts"
import { RETRY_AFTER } from "./active.ts"
import type { Directory, NamedTenant } from "./directory.ts"
import { changedMeanwhile, matches, type Tags } from "./etag.ts"
import { labelOf } from "./host.ts"
import { invalidInput } from "./input.ts"
import { Problem } from "./problems.ts"
import { inOrder, type ShownTenant, tagOf, toDeclared, toShown } from "./shown-tenant.ts"
import {
  addTenantFile,
  changeTenantFile,
  isReadOnly,
  readTenantFiles,
  removeTenantFile,
  type TenantFile,
} from "./tenant-files.ts"

/** `isDone`: the reconciler has done it within the time that was given. */
export type Change = { id: TenantId; name: string; isDone: boolean; etag?: string }

/** `hosts`: all that the tenant shall have of its own. */
type Wanted = { newName?: string | undefined; hosts?: readonly string[] | undefined }

export type Fleet = {
  list: () => Promise<ShownTenant[]>
  get: (name: string) => Promise<ShownTenant | undefined>
  /**
   * `wait` is in milliseconds, `expected` one of the tags that the tenant's file must have. All three throw the Problem
   * that says why the files stay as they are.
   */
  add: (tenant: Pick<Tenant, "name" | "seed" | "hosts">, wait: number) => Promise<Change>
  /** What is not wanted stays as it is. */
  change: (name: string, wanted: Wanted, wait: number, expected?: Tags) => Promise<Change>
  remove: (name: string, wait: number, expected?: Tags) => Promise<Change>
}

export type FleetSettings = {
  /** The tenants folder; undefined where this process does not have it. */
  folder: string | undefined
  /** The folder of migrations, whose seeds a file may name. */
  migrations: string
  directory: Directory
  readCredential: CredentialReader
  /** Has this process no longer serve a tenant by what it was told before. */
  forget: (tenant: TenantId) => Promise<unknown>
  /** Whether requests name tenants by their names, which follow from the list: it takes long with many tenants. */
  isByName: boolean
  /** Where tenants' hosts follow from their names: none has one of its own there. */
  ownDomains: readonly string[]
  /** How often the vault is asked whether it is done, in milliseconds. */
  interval: number
  /** Whether this process is about to end, so that nobody waits for the reconciler any more. */
  isEnding: () => boolean
}

/** Changes of files that wait for their turn. */
const MAX_WAITING = 100

/** The fleet as the vault tells it, and as the files declare it. Changes go one after the other. */
export function openFleet(settings: FleetSettings): Fleet {
  const { folder, migrations, directory, readCredential, forget, isByName, ownDomains, interval, isEnding } =
    settings
  let turn: Promise<unknown> = Promise.resolve()
  let waiting = 0

  /** Whether the ledger has it so; what is not wanted does not count. */
  async function isRecorded(id: TenantId, { newName, hosts }: Wanted): Promise<boolean> {
    const listed = (await directory.list()).find((one) => one.id === id)
    if (!listed || (newName !== undefined && listed.name !== newName)) return false
    return hosts === undefined || isSameSet(listed.hosts ?? [], hosts)
  }

  /** Throws the Problem that names a host that would never lead to the tenant. */
  function assertForeign(hosts: readonly string[]): void {
    const own = hosts.find((host) => labelOf(host, ownDomains) !== undefined)
    if (own === undefined) return
    const message = `must not name ${own}: in that domain hosts follow from the tenants' names`
    throw invalidInput("body", [{ in: "body", field: "hosts", message }])
  }

  /** Whoever may have one of the hosts by the ledger. */
  const recordedFor = async (hosts: readonly string[]) => (hosts.length > 0 ? directory.list() : [])

  /** Changes the files, alone, and turns a refusal of the file system into a Problem. */
  function change<T>(work: (folder: string, files: TenantFile[]) => Promise<T>): Promise<T> {
    if (folder === undefined) throw readOnly()
    if (waiting >= MAX_WAITING) throw busy(`${waiting} changes of tenants wait already`)
    waiting++
    const done = turn.then(async () => {
      try {
        return await work(folder, await readTenantFiles(folder))
      } catch (error) {
        if (isReadOnly(error) || error instanceof TerminalError) throw readOnly()
        if (error instanceof TransientError)
          throw busy("the tenants folder is being changed by others", error)
        throw error
      } finally {
        waiting--
      }
    })
    turn = done.catch(() => {})
    return done
  }

  /** Asks again and again for so long, and no longer although an answer takes longer, or once the process is told to end. */
  async function until(wait: number, isDone: () => Promise<boolean>): Promise<boolean> {
    const deadline = performance.now() + wait
    const isOver = () => performance.now() >= deadline || isEnding()
    const pause = () => sleep(Math.min(interval, Math.max(0, deadline - performance.now())))
    const done = async () => {
      for (; !isOver(); await pause()) if (await isDone().catch(() => false)) return true
      return false
    }
    const over = async () => {
      while (!isOver()) await pause()
      return false
    }
    return Promise.race([done(), over()])
  }

  const declared = async () => (folder === undefined ? [] : readTenantFiles(folder).catch(() => []))

  return {
    async list() {
      const known = await directory.list()
      const ids = new Set<string>(known.map(({ id }) => id))
      const coming = (await declared()).filter(({ tenant }) => !ids.has(tenant.id)).map(toDeclared)
      return [...known.map(toShown), ...coming].toSorted(inOrder)
    },

    async get(name) {
      const known = await directory.find(name)
      if (known && !isRetired(known)) return toShown(known)
      // Its file may have given the name to one whom the ledger has under another, or not yet.
      const file = findByName(await declared(), name)
      if (!file) return known && toShown(known)
      const recorded = directory.knownById(file.tenant.id)
      return { ...toDeclared(file), ...(recorded && { state: recorded.state, schema: recorded.schema }) }
    },

    async add({ name, seed, hosts = [] }, wait) {
      assertForeign(hosts)
      const tenant: Tenant = {
        id: TenantId.parse(randomUUID()),
        name,
        ...(seed === undefined ? {} : { seed }),
        ...(hosts.length > 0 ? { hosts } : {}),
      }
      await change(async (place, files) => {
        if (findByName(files, name)) throw taken(name)
        const fault = seedFault(seed, await readSeedNames(migrations))
        if (fault !== undefined) throw invalidInput("body", [{ in: "body", field: "seed", message: fault }])
        assertFree(hosts, { files, recorded: await recordedFor(hosts) })
        await addTenantFile(place, tenant)
      })
      const isDone = await until(
        wait,
        async () =>
          (await readCredential(tenant.id))?.state === "active" &&
          ((!isByName && hosts.length === 0) || isRecorded(tenant.id, { newName: name, hosts })),
      )
      return { id: tenant.id, name, isDone, etag: tagOf(tenant) }
    },

    async change(name, wanted, wait, expected) {
      const { newName, hosts = [] } = wanted
      assertForeign(hosts)
      // What takes long comes before the files are read.
      const recorded = await recordedFor(hosts)
      const { tenant } = await change(async (_place, files) => {
        const file = existing(files, name, expected)
        const rival = newName === undefined ? undefined : findByName(files, newName)
        if (rival && rival.tenant.id !== file.tenant.id) throw taken(rival.tenant.name)
        assertFree(hosts, { files, recorded, id: file.tenant.id })
        await changeTenantFile(file, { name: newName, hosts: wanted.hosts })
        return file
      })
      const isDone = await until(wait, () => isRecorded(tenant.id, wanted))
      const changed = { id: tenant.id, name: newName ?? tenant.name, hosts: wanted.hosts ?? tenant.hosts }
      return { id: tenant.id, name: changed.name, isDone, etag: tagOf(changed) }
    },

    async remove(name, wait, expected) {
      const { tenant } = await change(async (_place, files) => {
        const file = existing(files, name, expected)
        if (file.tenant.protected)
          throw new Problem("tenant-protected", `the file of ${name} says protected: true`)
        await removeTenantFile(file)
        return file
      })
      const isDone = await until(wait, async () => {
        const state = (await readCredential(tenant.id))?.state
        return state === undefined || state === "retired"
      })
      if (isDone) await forget(tenant.id).catch(() => {}) // it is served on no longer than its sessions
      return { id: tenant.id, name: tenant.name, isDone }
    },
  }
}

const isSameSet = (some: readonly string[], others: readonly string[]) =>
  some.length === others.length && some.every((one) => others.includes(one))

const findByName = (files: TenantFile[], name: string) =>
  files.find(({ tenant }) => isSameName(tenant.name, name))

/** Throws the Problem that names who has one of the hosts: by a file, or by the ledger where no file gives it up. */
function assertFree(
  hosts: readonly string[],
  { files, recorded, id }: { files: TenantFile[]; recorded: readonly NamedTenant[]; id?: TenantId },
): void {
  const declaring = new Set(files.map(({ tenant }) => tenant.id))
  const holding = recorded.filter((one) => !declaring.has(one.id) && !isRetired(one))
  const others = [...files.map(({ tenant }) => tenant), ...holding].filter((one) => one.id !== id)
  for (const host of hosts) {
    const holder = others.find((one) => one.hosts?.includes(host))
    if (holder)
      throw new Problem("tenant-host-taken", `${host} is a host of the tenant ${holder.name} already`)
  }
}

function existing(files: TenantFile[], name: string, expected: Tags | undefined): TenantFile {
  const file = findByName(files, name)
  if (!file) throw new Problem("tenant-not-found", "no file declares a tenant of this name")
  const etag = tagOf(file.tenant)
  if (expected && !matches(expected, etag)) throw changedMeanwhile(etag)
  return file
}

const taken = (name: string) => new Problem("tenant-name-taken", `a tenant is called ${name} already`)
const readOnly = () =>
  new Problem(
    "tenants-read-only",
    "the tenants folder is not written from here: open a pull request that changes the file",
  )
const busy = (detail: string, cause?: TransientError) =>
  new Problem("tenants-busy", detail, { retryAfter: RETRY_AFTER, cause })
