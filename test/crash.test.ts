/** kill -9 of any one process while it works: the system converges, and nothing that was written is lost. */
import { beforeEach, describe, expect, it } from "vitest"
import { eventually } from "./eventually.ts"
import { type Part, useSystem } from "./system.ts"

const SHOPIFY = "78b0c444-49aa-4308-b35f-9ff530b31920"

const system = useSystem()
beforeEach(async () => {
  if (!system.isRunning()) await system.start()
})

/** What must be there from now on: the tenants by name, and Shopify's products by id. */
const tenants = new Map([
  ["Globex", "b1d2a9f4-0c3e-47a8-8e65-2f90d1c7a3b4"],
  ["Northwind", "3f6c1f0e-8a52-4c57-9d1b-6a2b7c4e9f10"],
  ["Shopify", SHOPIFY],
])
const products = new Map<number, string>()

async function writeProduct(name: string): Promise<void> {
  const { status, body } = await system.request("POST", "/products", {
    tenant: SHOPIFY,
    body: { name, price: 1 },
  })
  expect(status).toBe(201)
  products.set(body.id, name)
}

/** Kills the part in the middle of making a tenant. */
async function killAtWork(part: Part, name: string): Promise<number> {
  await writeProduct(`written before ${name}`)
  const id = crypto.randomUUID()
  tenants.set(name, id)
  await system.save(`${name}.yaml`, `id: ${id}\nname: ${name}\nseed: demo\n`)
  await eventually("the work has begun", () => expect(system.printed()).toContain(`create ${name}`))
  return system.kill(part)
}

/** Every tenant is served, and the world holds what was declared and written, and nothing else. */
async function expectConverged(): Promise<void> {
  await eventually("every tenant is ready", async () => {
    const found = await system.status()
    const ready = found.tenants.filter(({ condition, state }) => condition === "Ready" && state === "active")
    expect(ready.map(({ name }) => name).toSorted()).toEqual([...tenants.keys()].toSorted())
  })
  expect(await system.databases()).toEqual(
    ["neondb", ...[...tenants.keys()].map((name) => `products-${name}`)].toSorted(),
  )
  const secrets = await system.secrets()
  expect(secrets.filter(({ enabled }) => enabled).map(({ name }) => name)).toEqual(
    [...tenants.values()].map((id) => `tenant-${id}`).toSorted(),
  )
  expect(secrets).toHaveLength(tenants.size)
  for (const [name, tenant] of tenants) {
    const { items } = await eventually(`${name} is served`, async () => {
      const { status, body } = await system.request("GET", "/products?limit=100", { tenant })
      expect(status).toBe(200)
      return body as { items: { id: number; name: string }[] }
    })
    const written = items.filter(({ id }) => id > 50).map((row) => [row.id, row.name])
    expect(written, `the rows written to ${name}`).toEqual(name === "Shopify" ? [...products] : [])
    expect(items.length - written.length, `the seed of ${name}`).toBe(name === "Globex" ? 0 : 50)
  }
}

describe.skipIf(process.platform !== "linux")("kill -9 (looks for processes in Linux's /proc)", () => {
  it.each<Part>(["supervisor", "postgres"])(
    "of the %s ends everything, and the next start converges",
    async (part) => {
      await killAtWork(part, `Cut-${part}`)
      await system.ended()
      await eventually("every other process has ended", () => expect(system.processes()).toEqual([]))

      await system.start()
      await expectConverged()
    },
  )

  it.each<Part>(["reconciler", "api", "a tenant's session", "leash"])(
    "of the %s is mended while the rest goes on",
    async (part) => {
      const supervisor = system.pidOf("supervisor")
      const name = `Cut-${part.replaceAll(/\W+/g, "-")}`
      const killed = await killAtWork(part, name)
      await expectConverged()
      expect(system.pidOf("supervisor")).toBe(supervisor)
      expect(system.processes().map(({ pid }) => pid)).not.toContain(killed)
    },
  )

  it("of these one after the other leaves nothing that an orderly end and the next start do not find", async () => {
    await system.stop()
    expect(system.processes()).toEqual([])
    await system.start()
    await expectConverged()
  })

  it("of every process at once costs nothing that was written", async () => {
    await writeProduct("written before the power failed")
    system.killAll()
    await system.ended()
    await eventually("every process has ended", () => expect(system.processes()).toEqual([]))

    await system.start()
    await expectConverged()
  })
})
