/** Two tenants with rows in a world of their own, for the negative controls of the guards. */
import { createApiClient } from "@neondatabase/api-client"
import { Client } from "pg"
import { afterAll, beforeAll, beforeEach, expect } from "vitest"
import { withDatabase } from "../../reconciler/providers/postgres.ts"
import { type Expected, faults } from "./faults.ts"
import { openPasses, type Passes } from "./passes.ts"
import { query } from "./systems.ts"
import { type FleetWorld, startFleet } from "./world.ts"

export const ADA: Expected = { id: "a0a0a0a0-0000-4000-8000-000000000001", name: "Ada", state: "active" }
export const BOB: Expected = { id: "b0b0b0b0-0000-4000-8000-000000000002", name: "Bob", state: "active" }
export const BOTH: readonly Expected[] = [ADA, BOB]

/** Set before each test. */
export const guarded: { world: FleetWorld; passes: Passes } = {} as never

/** Call it where hooks may be registered. */
export function useTwoTenants(): void {
  beforeAll(async () => {
    guarded.world = await startFleet({ steps: 1 })
    guarded.passes = openPasses(guarded.world)
  })
  afterAll(() => guarded.world.stop())
  beforeEach(async () => {
    const { world } = guarded
    if (await isAsBefore(world)) return
    await world.clear()
    for (const { id, name } of BOTH) await world.declare({ id, name })
    await world.prepare()
    for (const { id } of BOTH) await world.plant(id)
    expect(await faults(world, BOTH)).toEqual([])
  })
}

/** Whether the reconciler itself makes good what the last test has done, which spares a new beginning. */
async function isAsBefore(world: FleetWorld): Promise<boolean> {
  if (world.planted.size !== BOTH.length) return false
  world.neon.faults.clear()
  world.vault.faults.clear()
  await world.configure()
  for (const { id, name } of BOTH) await world.declare({ id, name })
  const isMended = await world.prepare().then(
    () => true,
    () => false,
  )
  return isMended && (await faults(world, BOTH)).length === 0
}

/** The credential that the vault has for the tenant now. */
export const uriOf = async ({ id }: Expected): Promise<string> =>
  (await guarded.world.secrets.getSecret(`tenant-${id}`)).value!

/** Whether the credential still reads the tenant's rows. */
export const opens = (uri: string): Promise<boolean> =>
  query(uri, "select name from products").then(
    () => true,
    () => false,
  )

/** Makes a database that somebody else has filled; what it returns tells what is left of it. */
export async function occupy(name: string): Promise<() => Promise<string[]>> {
  const { neon, postgres, sql } = guarded.world
  await sql("postgres", `create database "${name}" owner "${neon.owner}" template template0`)
  const owner = `postgres://${neon.owner}:${neon.ownerPassword}@${postgres.host}:${postgres.port}/neondb`
  await query(withDatabase(owner, name), "create table kept (text text); insert into kept values ('theirs')")
  return async () => {
    const rows = await sql<{ text: string }>(name, "select text from kept").catch(() => [])
    return rows.map(({ text }) => text)
  }
}

/** Neon's client as it comes. */
export function rawNeon() {
  const { NEON_API_KEY: apiKey, NEON_API_URL: baseURL } = guarded.world.environment()
  return createApiClient({ apiKey: apiKey!, baseURL: baseURL!, timeout: 5000, maxRedirects: 0 })
}

/** A session that stays, as a pool's does. */
export async function connectFor(uri: string): Promise<{ isOpen: () => boolean }> {
  const client = new Client({ connectionString: uri })
  let isOpen = true
  client.on("error", () => (isOpen = false))
  client.on("end", () => (isOpen = false))
  await client.connect()
  return { isOpen: () => isOpen }
}
