/** Every kind of change of a fleet: the world before it, what a person does, and what the world should be then. */
import type { Expected } from "./faults.ts"
import { query } from "./systems.ts"
import type { Declaration, FleetWorld } from "./world.ts"

export type Scene = {
  /** What is run, in order; the last is a pass. */
  commands: readonly (readonly string[])[]
  desired: readonly Expected[]
  /** What is wrong beyond what the tenants of a fleet have in common. */
  more?: () => Promise<string[]>
}

const PASS = [["apply"]] as const

const newTenant = (name: string, more: Partial<Declaration> = {}) => ({
  id: crypto.randomUUID() as string,
  name,
  ...more,
})
type Tenant = ReturnType<typeof newTenant>

const active = ({ id, name, seed }: Tenant, more: Partial<Expected> = {}): Expected => ({
  id,
  name,
  state: "active",
  ...(seed ? { seed: true } : {}),
  ...more,
})

/** Brings the tenants into being, each with rows of its own. */
async function given<T extends Tenant[]>(world: FleetWorld, ...tenants: T): Promise<T> {
  for (const tenant of tenants) await world.declare(tenant)
  await world.prepare()
  for (const { id } of tenants) await world.plant(id)
  return tenants
}

async function declareAll(world: FleetWorld, ...tenants: Tenant[]): Promise<Tenant[]> {
  for (const tenant of tenants) await world.declare(tenant)
  return tenants
}

/** Renames the tenants all at once, each to the name of the next. */
async function rotateNames(world: FleetWorld, ...tenants: Tenant[]): Promise<Scene> {
  const before = await given(world, ...tenants)
  const after = before.map((tenant, index) => ({ ...tenant, name: before.at(index - 1)!.name }))
  return { commands: PASS, desired: (await declareAll(world, ...after)).map((tenant) => active(tenant)) }
}

async function deleteSecret(world: FleetWorld, { id }: Tenant): Promise<void> {
  await world.secrets.beginDeleteSecret(`tenant-${id}`)
}

async function editTags(
  world: FleetWorld,
  { id }: Tenant,
  edit: (tags: Record<string, string>) => Record<string, string>,
): Promise<void> {
  const { properties } = await world.secrets.getSecret(`tenant-${id}`)
  await world.secrets.updateSecretProperties(`tenant-${id}`, "", { tags: edit(properties.tags ?? {}) })
}

/** A database that some program made long ago, with a row and without a marker. */
async function makeLegacy(world: FleetWorld): Promise<void> {
  await world.sql("postgres", `create database legacy owner "${world.neon.owner}" template template0`)
  await world.sql(
    "legacy",
    `create table orders (text text); alter table orders owner to "${world.neon.owner}"; insert into orders values ('old')`,
  )
}

/** Whether the row of the legacy database is where the tenant is, and can be read by it. */
async function legacyFaults(world: FleetWorld, { id }: Tenant): Promise<string[]> {
  try {
    const { value } = await world.secrets.getSecret(`tenant-${id}`)
    const rows = await query(value!, "select text from orders")
    return JSON.stringify(rows) === '[{"text":"old"}]' ? [] : [`orders are ${JSON.stringify(rows)}`]
  } catch (error) {
    return [`orders cannot be read: ${(error as Error).message}`]
  }
}

/** Each makes its scene in an empty fleet that has one other tenant, which nothing may happen to. */
const SCENES: Record<string, (world: FleetWorld) => Promise<Scene>> = {
  create: async (world) => {
    const tenants = await declareAll(world, newTenant("Alpha"))
    return { commands: PASS, desired: tenants.map((tenant) => active(tenant)) }
  },

  "create with a seed": async (world) => {
    const tenants = await declareAll(world, newTenant("Alpha", { seed: "demo" }))
    return { commands: PASS, desired: tenants.map((tenant) => active(tenant)) }
  },

  rename: async (world) => {
    const [alpha] = await given(world, newTenant("Alpha"))
    const renamed = await declareAll(world, { ...alpha, name: "Beta" })
    return { commands: PASS, desired: renamed.map((tenant) => active(tenant)) }
  },

  "swap of two names": (world) => rotateNames(world, newTenant("Alpha"), newTenant("Beta")),

  "cycle of three names": (world) =>
    rotateNames(world, newTenant("Alpha"), newTenant("Beta"), newTenant("Gamma")),

  "name taken over by a new tenant": async (world) => {
    const [alpha] = await given(world, newTenant("Alpha"))
    const tenants = await declareAll(world, { ...alpha, name: "Beta" }, newTenant("Alpha"))
    return { commands: PASS, desired: tenants.map((tenant) => active(tenant)) }
  },

  suspend: async (world) => {
    const [alpha] = await given(world, newTenant("Alpha"))
    await world.declare({ ...alpha, suspended: true })
    return { commands: PASS, desired: [active(alpha, { state: "suspended" })] }
  },

  resume: async (world) => {
    const [alpha] = await given(world, newTenant("Alpha"))
    await world.declare({ ...alpha, suspended: true })
    await world.prepare()
    await world.declare(alpha)
    return { commands: PASS, desired: [active(alpha)] }
  },

  rotate: async (world) => {
    const [alpha] = await given(world, newTenant("Alpha"))
    return { commands: [["rotate", alpha.id], ["apply"]], desired: [active(alpha)] }
  },

  migrate: async (world) => {
    const tenants = await given(world, newTenant("Alpha"), newTenant("Beta"))
    await world.addMigration("0009_stock.sql", "alter table products add column stock integer default 0")
    // One tenant goes first, and the others in the next pass.
    return { commands: [...PASS, ...PASS], desired: tenants.map((tenant) => active(tenant)) }
  },

  retire: async (world) => {
    const [alpha] = await given(world, newTenant("Alpha"))
    await world.remove(alpha.id)
    return { commands: PASS, desired: [active(alpha, { state: "retired" })] }
  },

  restore: async (world) => {
    const [alpha] = await given(world, newTenant("Alpha"))
    await world.remove(alpha.id)
    await world.prepare()
    await world.declare(alpha)
    return { commands: PASS, desired: [active(alpha)] }
  },

  purge: async (world) => {
    const [alpha] = await given(world, newTenant("Alpha"))
    await world.remove(alpha.id)
    await world.prepare()
    await world.configure({ gracePeriodDays: 0 })
    world.giveUp(alpha.id)
    return { commands: PASS, desired: [] }
  },

  "create anew after a purge": async (world) => {
    const [alpha] = await given(world, newTenant("Alpha"))
    await world.remove(alpha.id)
    await world.prepare()
    await world.configure({ gracePeriodDays: 0 })
    await world.prepare()
    await world.configure()
    world.giveUp(alpha.id)
    await world.declare(alpha)
    return { commands: PASS, desired: [active(alpha)] }
  },

  "repair of a lost secret": async (world) => {
    const [alpha] = await given(world, newTenant("Alpha"))
    await deleteSecret(world, alpha)
    return { commands: PASS, desired: [active(alpha)] }
  },

  "repair of edited tags": async (world) => {
    const [alpha] = await given(world, newTenant("Alpha"))
    await editTags(world, alpha, (tags) => ({ ...tags, tenant: "Omega", database: "products-Omega" }))
    return { commands: PASS, desired: [active(alpha)] }
  },

  "repair of broken tags": async (world) => {
    const [alpha] = await given(world, newTenant("Alpha"))
    await editTags(world, alpha, (tags) => ({ "managed-by": tags["managed-by"]!, fleet: tags["fleet"]! }))
    return { commands: PASS, desired: [active(alpha)] }
  },

  "vault lost altogether": async (world) => {
    const [alpha, beta, gone] = await given(world, newTenant("Alpha"), newTenant("Beta"), newTenant("Gone"))
    await world.remove(gone.id)
    await world.declare({ ...beta, suspended: true })
    await world.prepare()
    for (const tenant of [alpha, beta, gone]) {
      await deleteSecret(world, tenant)
      await world.secrets.purgeDeletedSecret(`tenant-${tenant.id}`)
    }
    const desired = [
      active(alpha),
      active(beta, { state: "suspended" }),
      // Nothing is left that knows how it was called.
      active({ ...gone, name: `retired-${gone.id}` }, { state: "retired" }),
    ]
    return { commands: PASS, desired }
  },

  "approved recreation of a missing database": async (world) => {
    const [alpha] = await given(world, newTenant("Alpha"))
    await world.sql("postgres", `drop database "products-Alpha" with (force)`)
    world.giveUp(alpha.id)
    return {
      commands: [["approve", alpha.id, "recreate", "--yes", alpha.name], ["apply"]],
      desired: [active(alpha)],
    }
  },

  import: async (world) => {
    const alpha = newTenant("Alpha")
    await makeLegacy(world)
    const words = ["import", "legacy", "--id", alpha.id, "--name", alpha.name, "--yes"]
    return {
      commands: [words, ["apply"]],
      desired: [active(alpha)],
      more: () => legacyFaults(world, alpha),
    }
  },
}

export const KINDS: readonly string[] = Object.keys(SCENES)

/** Empties the world and makes the scene of one kind of change in it, up to where somebody has to run something. */
export async function setScene(world: FleetWorld, kind: string): Promise<Scene> {
  await world.clear()
  const [bystander] = await given(world, newTenant("Bystander"))
  const scene = await SCENES[kind]!(world)
  return { ...scene, desired: [...scene.desired, active(bystander)] }
}
