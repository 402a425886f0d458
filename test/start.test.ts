/** Starting, stopping and emptying the local world, in a fresh checkout with the folders that it has by itself. */
import { existsSync } from "node:fs"
import { mkdir, rm, stat, writeFile } from "node:fs/promises"
import path from "node:path"
import { rootCertificates } from "node:tls"
import { beforeAll, describe, expect, it } from "vitest"
import { changesIn } from "./checkout.ts"
import { eventually } from "./eventually.ts"
import { useSystem } from "./system.ts"

const SHOPIFY = "78b0c444-49aa-4308-b35f-9ff530b31920"
const GALAXY = { name: "Samsung Galaxy S25 Ultra", price: 1299.99 }

const system = useSystem({ checkout: true })
const { request, run } = system
beforeAll(system.start)

const galaxy = () => request("GET", "/products/51", { tenant: SHOPIFY })

describe("while a world runs", () => {
  it("only its owner can read the environment that reaches it", async () => {
    const { mode } = await stat(path.join(system.home, "env"))
    expect((mode & 0o777).toString(8)).toBe("600")
  })

  it("npx tenantry finds it from the repository's root", async () => {
    const status = await run(["npx", "tenantry", "status"])
    expect(status).toMatchObject({ code: 0 })
    for (const name of ["Globex", "Northwind", "Shopify"])
      expect(status.output).toMatch(new RegExp(`^${name} +Ready +Served +active`, "m"))

    const plan = await run(["npx", "tenantry", "plan"])
    expect(plan).toMatchObject({ code: 0, output: expect.stringContaining("plan: 0 to change") })
  })

  it("npx tenantry finds it where the shell trusts certificates of its own", async () => {
    const own = path.join(system.home, "own.pem")
    await writeFile(own, rootCertificates[0]!)
    const plan = await run(["npx", "tenantry", "plan"], { NODE_EXTRA_CA_CERTS: own })
    expect(plan).toMatchObject({ code: 0, output: expect.stringContaining("plan: 0 to change") })
  })

  it("a second one in the same folder is refused, and told who has it", async () => {
    const ports = { PORT: "0", STATUS_PORT: "0" }
    const { code, output } = await run(["npm", "start"], ports)
    expect(code).toBe(1)
    expect(output).toContain(`process ${system.pidOf("supervisor")} runs a local world in ${system.home}`)
    expect(await request("GET", "/products?limit=1", { tenant: SHOPIFY })).toMatchObject({ status: 200 })
  })

  it.each(["PORT", "STATUS_PORT"])("%s in use is told with what to do", async (variable) => {
    const taken = String(variable === "PORT" ? system.ports.api : system.ports.status)
    const { code, output } = await run(["npm", "start"], {
      PORT: "0",
      STATUS_PORT: "0",
      [variable]: taken,
      TENANTRY_HOME: path.join(system.root, ".tenantry/another"),
    })
    expect(code).toBe(1)
    expect(output).toContain(`port ${taken} is in use: stop what uses it, or set ${variable} to a free one`)
  })

  it("it cannot be emptied", async () => {
    expect(await request("POST", "/products", { tenant: SHOPIFY, body: GALAXY })).toMatchObject({
      status: 201,
      body: { id: 51 },
    })
    const { code, output } = await run(["npm", "run", "reset"])
    expect(code).toBe(1)
    expect(output).toContain(`process ${system.pidOf("supervisor")} runs the local world in ${system.home}`)
    expect(await galaxy()).toMatchObject({ status: 200, body: GALAXY })
  })
})

describe("a second world in folders and on ports of its own", () => {
  const other = useSystem()

  it("runs beside the first, and they share nothing", async () => {
    await other.start()
    const missed = await other.request("GET", "/products/51", { tenant: SHOPIFY })
    expect(missed.status).toBe(404)
    await other.request("PATCH", "/products/1", { tenant: SHOPIFY, body: { name: "Changed in the second" } })
    const first = await request("GET", "/products/1", { tenant: SHOPIFY })
    expect(first.body.name).not.toBe("Changed in the second")
  })

  it("ends without the first", async () => {
    expect(await other.stop()).toMatchObject({ code: 0, signal: null })
    expect(other.processes()).toEqual([])
    expect(await galaxy()).toMatchObject({ status: 200, body: GALAXY })
  })
})

describe("Ctrl-C", () => {
  it("ends everything, with exit code 0", async () => {
    const ended = await system.stop()
    expect(ended).toMatchObject({ code: 0, signal: null })
    expect(ended.output).toContain("stopped; the data is kept")
    expect(system.processes()).toEqual([])
    expect(existsSync(path.join(system.home, "env"))).toBe(false)
  })

  it("while it still starts ends everything too", async () => {
    for (const sign of ["> tenantry@", "postgres  ", "key vault  ", "api  "]) {
      const before = system.printed().length
      await system.launch()
      await eventually(`it prints ${sign}`, () => expect(system.printed().slice(before)).toContain(sign))
      await system.stop()
      await eventually("every process has ended", () => expect(system.processes()).toEqual([]))
    }
  })

  it("keeps the data: the next start finds it, with the folder's claim cut short by a lack of power", async () => {
    await writeFile(path.join(system.home, "pid"), "")
    await system.start()
    expect(await galaxy()).toMatchObject({ status: 200, body: GALAXY })
  })
})

it("is not started with fewer cells than the folder holds: tenants in them would be served no more", async () => {
  const home = path.join(system.root, ".tenantry/of-two")
  await mkdir(path.join(home, "postgres-2"), { recursive: true })
  const ports = { PORT: "0", STATUS_PORT: "0" }
  const { code, output } = await run(["npm", "start", "--", "--cells", "1"], {
    ...ports,
    TENANTRY_HOME: home,
  })
  expect(code).toBe(1)
  expect(output).toMatch(/of-two holds 2 cells, and the tenants in them: start with --cells 2 or without it/)
  await rm(home, { recursive: true })
})

describe("npm run reset", () => {
  it("empties a world that has stopped; the next start begins anew", async () => {
    for (const credential of await system.credentials())
      expect(system.printed().includes(credential)).toBe(false)
    await system.stop()
    expect(await run(["npm", "run", "reset"])).toMatchObject({ code: 0 })
    expect(existsSync(system.home)).toBe(false)

    await system.start()
    expect((await galaxy()).status).toBe(404)
    const { body } = await request("GET", "/products?limit=100", { tenant: SHOPIFY })
    expect(body.items).toHaveLength(50)
    await system.stop()
  })

  it("succeeds where there is no world", async () => {
    expect(await run(["npm", "run", "reset"])).toMatchObject({ code: 0 })
    expect(await run(["npm", "run", "reset"])).toMatchObject({ code: 0 })
  })
})

it("Git sees no new or changed file after all that", () => {
  expect(changesIn(system.root)).toBe("")
})
