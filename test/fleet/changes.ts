/** Changes of one tenant, each brought to where its next pass makes the calls that a fault can meet. */
import { randomUUID } from "node:crypto"
import { approve } from "../../reconciler/decisions.ts"
import { openWorld } from "../../reconciler/world.ts"
import type { Expected } from "./faults.ts"
import type { Passes } from "./passes.ts"
import type { FleetWorld } from "./world.ts"

export type ChangeName = "create" | "rename" | "suspend" | "purge" | "recreate"

/** More tenants than this are let go of, so that a look at the whole world stays quick. */
const MAX_RESIDENTS = 3

/**
 * Begins changes: what a change takes for granted is there, and the file says what is wanted. `residents` are the tenants
 * that should be there when it is over; they are used again.
 */
export function changesOf(world: FleetWorld, { config }: Passes) {
  let residents: Expected[] = []
  let gone: string[] = []
  let names = 0

  const active = (id: string): Expected => ({ id, name: `Subject-${++names}`, state: "active" })

  /** Writes the tenant's file, and remembers what it says. */
  async function declare(tenant: Expected): Promise<Expected> {
    const { id, name, state } = tenant
    await world.declare({ id, name, ...(state === "suspended" ? { suspended: true } : {}) })
    residents = [...residents.filter((other) => other.id !== id), tenant]
    return tenant
  }

  /** A tenant that is served, with rows. */
  async function served(): Promise<Expected> {
    const found = residents.find(({ state }) => state === "active")
    const tenant = found ?? (await declare(active(residents[0]?.id ?? randomUUID())))
    if (!found) await world.prepare()
    if (!world.planted.has(tenant.id)) await world.plant(tenant.id)
    return tenant
  }

  /** Removes the tenants' files, and lets a person allow the end of their data: the next pass makes it. */
  async function giveUp(tenants: readonly Expected[]): Promise<void> {
    for (const { id } of tenants) await world.remove(id)
    await world.prepare()
    const until = new Date(Date.now() + 600_000).toISOString()
    for (const { id } of tenants) {
      await approve(config.sources, openWorld(config), id, { verb: "purge", until })
      world.giveUp(id)
    }
    residents = residents.filter((tenant) => !tenants.includes(tenant))
    gone = [...gone, ...tenants.map(({ id }) => id)]
  }

  const begin: Record<ChangeName, () => Promise<Expected | undefined>> = {
    async create() {
      if (residents.length >= MAX_RESIDENTS) {
        await giveUp(residents)
        await world.prepare()
      }
      return declare(active(randomUUID()))
    },
    rename: async () => declare(active((await served()).id)),
    suspend: async () => declare({ ...(await served()), state: "suspended" }),
    async purge() {
      await giveUp([await served()])
      return undefined
    },
    async recreate() {
      if (gone.length === 0) {
        await giveUp([await served()])
        await world.prepare()
      }
      return declare(active(gone.pop()!))
    },
  }

  return {
    /** Returns the tenant as it should be in the end; undefined where there should be none. */
    begin: (change: ChangeName): Promise<Expected | undefined> => begin[change](),
    residents: (): readonly Expected[] => residents,
    /** After the world was emptied. */
    forget: (): void => {
      residents = []
      gone = []
    },
  }
}
