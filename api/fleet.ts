/** What administrators may do with the fleet: they change files in the tenants folder, and the reconciler does the rest. */
import { randomUUID } from "node:crypto"
import { setTimeout as sleep } from "node:timers/promises"
import type { CredentialReader } from "../reconciler/providers/vault.ts"
import { databaseName, isSameName, nameKey, type Tenant, TenantId } from "../reconciler/tenant.ts"
import type { Directory, NamedTenant } from "./directory.ts"
import { Problem } from "./problems.ts"
import {
  addTenantFile,
  isReadOnly,
  readTenantFiles,
  removeTenantFile,
  renameTenant,
  type TenantFile,
} from "./tenant-files.ts"

type ShownTenant = {
  name: string
  id: string
  state: string
  schema: string | null
  hosts: readonly string[]
}
/** `isDone`: the reconciler has done it within the time that was given. */
export type Change = { id: TenantId; name: string; isDone: boolean }

export type Fleet = {
  list: () => Promise<ShownTenant[]>
  get: (name: string) => Promise<ShownTenant | undefined>
  /** `wait` is in milliseconds. All three throw the Problem that says why the files stay as they are. */
  add: (tenant: { name: string; seed?: string | undefined }, wait: number) => Promise<Change>
  rename: (name: string, newName: string, wait: number) => Promise<Change>
  remove: (name: string, wait: number) => Promise<Change>
}

export type FleetSettings = {
  /** The tenants folder; undefined where this process does not have it. */
  folder: string | undefined
  directory: Directory
  readCredential: CredentialReader
  /** How often the vault is asked whether it is done, in milliseconds. */
  interval: number
}

/** The fleet as the vault tells it, and as the files declare it. Changes go one after the other. */
export function openFleet({ folder, directory, readCredential, interval }: FleetSettings): Fleet {
  let turn: Promise<unknown> = Promise.resolve()

  /** Changes the files, alone, and turns a refusal of the file system into a Problem. */
  function change<T>(work: (folder: string, files: TenantFile[]) => Promise<T>): Promise<T> {
    if (folder === undefined) throw readOnly()
    const done = turn.then(async () => {
      try {
        return await work(folder, await readTenantFiles(folder))
      } catch (error) {
        throw isReadOnly(error) ? readOnly() : error
      }
    })
    turn = done.catch(() => {})
    return done
  }

  async function until(wait: number, isDone: () => Promise<boolean>): Promise<boolean> {
    const deadline = performance.now() + wait
    while (performance.now() < deadline) {
      if (await isDone().catch(() => false)) return true
      await sleep(Math.min(interval, Math.max(0, deadline - performance.now())))
    }
    return false
  }

  const declared = async () => (folder === undefined ? [] : readTenantFiles(folder).catch(() => []))

  return {
    async list() {
      const known = await directory.list()
      const ids = new Set<string>(known.map(({ id }) => id))
      const coming = (await declared()).filter(({ tenant }) => !ids.has(tenant.id)).map(toDeclared)
      return [...known.map(toShown), ...coming].toSorted((a, b) =>
        nameKey(a.name) < nameKey(b.name) ? -1 : 1,
      )
    },

    async get(name) {
      const known = await directory.find(name)
      if (known) return toShown(known)
      const file = findByName(await declared(), name)
      return file && toDeclared(file)
    },

    async add({ name, seed }, wait) {
      const tenant: Tenant = {
        id: TenantId.parse(randomUUID()),
        name,
        ...(seed === undefined ? {} : { seed }),
      }
      await change(async (place, files) => {
        if (findByName(files, name)) throw taken(name)
        await addTenantFile(place, tenant)
      })
      const isDone = await until(wait, async () => (await readCredential(tenant.id))?.state === "active")
      return { id: tenant.id, name, isDone }
    },

    async rename(name, newName, wait) {
      const { tenant } = await change(async (_place, files) => {
        const file = existing(files, name)
        const rival = findByName(files, newName)
        if (rival && rival.tenant.id !== file.tenant.id) throw taken(newName)
        await renameTenant(file, newName)
        return file
      })
      const isDone = await until(wait, async () =>
        (await directory.list()).some((one) => one.id === tenant.id && one.name === newName),
      )
      return { id: tenant.id, name: newName, isDone }
    },

    async remove(name, wait) {
      const { tenant } = await change(async (_place, files) => {
        const file = existing(files, name)
        if (file.tenant.protected)
          throw new Problem("tenant-protected", `the file of ${name} says protected: true`)
        await removeTenantFile(file)
        return file
      })
      const isDone = await until(wait, async () => {
        const state = (await readCredential(tenant.id))?.state
        return state === undefined || state === "retired"
      })
      return { id: tenant.id, name: tenant.name, isDone }
    },
  }
}

export const toChanged = ({ id, name }: Change) => ({ tenantId: id, databaseName: databaseName(name) })

const toShown = ({ id, name, state, schema, hosts = [] }: NamedTenant): ShownTenant => ({
  name,
  id,
  state,
  schema,
  hosts,
})
/** There is a file, and nothing else yet. */
const toDeclared = ({ tenant: { id, name, hosts = [] } }: TenantFile): ShownTenant => ({
  name,
  id,
  state: "declared",
  schema: null,
  hosts,
})

const findByName = (files: TenantFile[], name: string) =>
  files.find(({ tenant }) => isSameName(tenant.name, name))

function existing(files: TenantFile[], name: string): TenantFile {
  const file = findByName(files, name)
  if (!file) throw new Problem("tenant-not-found", "no file declares a tenant of this name")
  return file
}

const taken = (name: string) => new Problem("tenant-name-taken", `a tenant is called ${name} already`)
const readOnly = () =>
  new Problem(
    "tenants-read-only",
    "the tenants folder is not written from here: open a pull request that changes the file",
  )
