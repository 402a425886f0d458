/** What the README promises to a person who tries the system: one walk through it, in this order. */
import { once } from "node:events"
import { get, type IncomingMessage } from "node:http"
import { json } from "node:stream/consumers"
import { beforeAll, describe, expect, it } from "vitest"
import { eventually } from "./eventually.ts"
import { useSystem } from "./system.ts"

const SHOPIFY = "78b0c444-49aa-4308-b35f-9ff530b31920"
const NORTHWIND = "3f6c1f0e-8a52-4c57-9d1b-6a2b7c4e9f10"
const GLOBEX = "b1d2a9f4-0c3e-47a8-8e65-2f90d1c7a3b4"
const ACME = "0d3a4c1e-5f7b-4a89-b6c2-9e8d7f6a5b41"
const GALAXY = { name: "Samsung Galaxy S25 Ultra", price: 1299.99 }

const system = useSystem({ environment: { NAMES_INTERVAL_MS: "100" } })
const { request, save, remove } = system
beforeAll(system.start)

const productDatabases = async () => (await system.databases()).filter((name) => name !== "neondb")
const secretOf = async (tenant: string) =>
  (await system.secrets()).find(({ name }) => name === `tenant-${tenant}`)
/** Waits until the reconciler has read every file as it is, and done what they ask for. */
const settled = (description: string, expected: { id: string; name: string; state: string }) =>
  eventually(description, async () => {
    const { tenants } = await system.status()
    expect(tenants).toContainEqual(expect.objectContaining({ ...expected, condition: "Ready" }))
  })

describe("after npm start", () => {
  it("each sample tenant has a database at Neon and a secret in the vault, and nobody else has", async () => {
    expect(await productDatabases()).toEqual(["products-Globex", "products-Northwind", "products-Shopify"])
    const secrets = await system.secrets()
    expect(secrets.map(({ name, enabled }) => [name, enabled])).toEqual(
      [NORTHWIND, SHOPIFY, GLOBEX].map((id) => [`tenant-${id}`, true]),
    )
  })

  it("each part has told its address, and each tenant how long it took", () => {
    for (const part of [
      /^postgres +postgres:\/\/127\.0\.0\.1:\d+ /m,
      /^neon api +http:\/\/\S+\/api\/v2 /m,
      /^key vault +https:\/\/localhost:\d+ /m,
      new RegExp(`^api +http://localhost:${system.ports.api}$`, "m"),
      new RegExp(`^reconciler +http://localhost:${system.ports.status} `, "m"),
      /^plan: .*create Shopify/m,
      /Shopify is served after \d+\.\d s/,
      /Northwind is served after \d+\.\d s/,
      /Globex is served after \d+\.\d s/,
    ]) {
      expect(system.printed()).toMatch(part)
    }
  })

  it("the command that it tells to try works", async () => {
    const command = /^Try: +(curl .*)$/m.exec(system.printed())?.[1]
    const { code, output } = await system.run(["sh", "-c", `${command} --silent --fail`])
    expect({ code, count: JSON.parse(output).items.length }).toEqual({ code: 0, count: 3 })
  })
})

describe("a tenant's data", () => {
  it("begin with 50 products and a few users", async () => {
    const { body } = await request("GET", "/products?limit=100", { tenant: SHOPIFY })
    expect(body.items).toHaveLength(50)
    const cart = await request("POST", "/carts", { tenant: SHOPIFY, body: { userId: 1 } })
    expect(cart.status).toBe(201)
  })

  it("take a product, which gets the id 51, and show it to nobody else", async () => {
    const made = await request("POST", "/products", { tenant: SHOPIFY, body: GALAXY })
    expect(made).toMatchObject({ status: 201, body: { id: 51, ...GALAXY, description: "" } })

    const found = await request("GET", "/products/51", { tenant: SHOPIFY })
    expect(found).toMatchObject({ status: 200, body: { id: 51, ...GALAXY, description: "" } })

    for (const tenant of [NORTHWIND, GLOBEX]) {
      const missed = await request("GET", "/products/51", { tenant })
      expect(missed).toMatchObject({ status: 404, body: { type: "/problems/product-not-found" } })
    }
  })
})

describe("a request", () => {
  const problems = [
    ["without the header is 400", undefined, 400, "/problems/tenant-missing"],
    ["whose header is no UUID is 400", "Shopify", 400, "/problems/tenant-malformed"],
    [
      "of an unknown tenant is 404",
      "11111111-2222-4333-8444-555555555555",
      404,
      "/problems/tenant-not-found",
    ],
  ] as const
  it.each(problems)("%s, as problem+json", async (_, tenant, status, type) => {
    const answer = await request("GET", "/products", tenant === undefined ? {} : { tenant })
    expect(answer.status).toBe(status)
    expect(answer.type).toMatch(/^application\/problem\+json\b/)
    expect(answer.body).toMatchObject({
      type,
      status,
      title: expect.any(String),
      detail: expect.any(String),
    })
  })
})

describe("while it runs", () => {
  const row = { name: "Anvil", price: 49.5 }

  it("a new file makes a served tenant", async () => {
    await save("acme.yaml", `id: ${ACME}\nname: Acme\nseed: demo\n`)
    await settled("Acme is served", { id: ACME, name: "Acme", state: "active" })
    expect(await productDatabases()).toContain("products-Acme")
    const made = await request("POST", "/products", { tenant: ACME, body: row })
    expect(made).toMatchObject({ status: 201, body: { id: 51, ...row } })
  })

  it("a new name renames the database, and its data are still there", async () => {
    await save("acme.yaml", `id: ${ACME}\nname: Acme-Corp\nseed: demo\n`)
    await settled("Acme is renamed", { id: ACME, name: "Acme-Corp", state: "active" })
    expect(await productDatabases()).toEqual([
      "products-Acme-Corp",
      "products-Globex",
      "products-Northwind",
      "products-Shopify",
    ])
    const found = await request("GET", "/products/51", { tenant: ACME })
    expect(found).toMatchObject({ status: 200, body: row })
  })

  it("removing the file retires the tenant: requests fail with a clear error, the data are kept", async () => {
    await remove("acme.yaml")
    await settled("Acme is retired", { id: ACME, name: "Acme-Corp", state: "retired" })
    const refused = await request("GET", "/products/51", { tenant: ACME })
    expect(refused).toMatchObject({ status: 410, body: { type: "/problems/tenant-retired" } })
    expect(await productDatabases()).toEqual([
      "products-Globex",
      "products-Northwind",
      "products-Shopify",
      `retired-${ACME}`,
    ])
    expect(await secretOf(ACME)).toMatchObject({ enabled: false })
  })

  it("putting the file back brings the tenant back with its data", async () => {
    await save("acme.yaml", `id: ${ACME}\nname: Acme\nseed: demo\n`)
    await settled("Acme is back", { id: ACME, name: "Acme", state: "active" })
    const found = await eventually("Acme is served again", async () => {
      const answer = await request("GET", "/products/51", { tenant: ACME })
      expect(answer.status).toBe(200)
      return answer
    })
    expect(found.body).toMatchObject(row)
    expect(await productDatabases()).toContain("products-Acme")
    expect(await productDatabases()).not.toContain(`retired-${ACME}`)
    expect(await secretOf(ACME)).toMatchObject({ enabled: true })
  })
})

describe("a host of a tenant's own", () => {
  const acme = (more: string) => save("acme.yaml", `id: ${ACME}\nname: Acme\nseed: demo\n${more}`)
  const globex = (more: string) => save("globex.yaml", `id: ${GLOBEX}\nname: Globex\nseed: demo\n${more}`)
  /** What the product 51 is called there, which Acme alone has; or what the refusal is. */
  const at = async (host: string): Promise<string> => {
    const target = { host: "127.0.0.1", port: system.ports.api, path: "/products/51", headers: { host } }
    const [response] = (await once(get(target), "response")) as [IncomingMessage]
    const { name, type } = (await json(response)) as { name?: string; type?: string }
    return name ?? type ?? ""
  }
  const leads = (host: string, where: string) =>
    eventually(`${host} leads to ${where}`, async () => expect(await at(host)).toBe(where))
  const [NOBODY, OTHER] = ["/problems/tenant-not-found", "/problems/product-not-found"]

  it("leads to it once the file names it, and nowhere once it does not", async () => {
    expect(await at("shop.acme.example")).toBe(NOBODY)
    await acme("hosts: [Shop.Acme.example]\n")
    await leads("shop.acme.example", "Anvil")
    expect(await at("shop.acme.example:443")).toBe("Anvil")
    await acme("")
    await leads("shop.acme.example", NOBODY)
  })

  it("changes hands by one commit, and two files that name it at once change nothing", async () => {
    const asked = { body: { hosts: ["Shop.Acme.example"] } }
    expect(await request("PATCH", "/tenants/acme?wait=30", asked)).toMatchObject({ status: 200 })
    await leads("shop.acme.example", "Anvil")
    await globex("hosts: [shop.acme.example]\n")
    await eventually("the clash is told", async () =>
      expect((await system.status()).problems.join("\n")).toMatch(
        /globex\.yaml:4: hosts: shop\.acme\.example is also in \S+acme\.yaml; a host leads to one tenant/,
      ),
    )
    expect(await at("shop.acme.example")).toBe("Anvil")
    await acme("")
    await leads("shop.acme.example", OTHER)
    await globex("")
    await leads("shop.acme.example", NOBODY)
  })

  it("in the API's own domain is not its own: other tenants' requests stay theirs", async () => {
    await acme("hosts: [acme.example]\n")
    await leads("acme.example", "Anvil")
    expect(await at("globex.localhost")).toBe(OTHER)
    await acme("hosts: [globex.localhost]\n")
    await eventually("the fault is told", async () =>
      expect((await system.status()).problems.join("\n")).toContain("hosts: must not be in localhost"),
    )
    expect(await at("globex.localhost")).toBe(OTHER)
    expect(await at("acme.localhost")).toBe("Anvil")
    await acme("")
    await leads("acme.example", NOBODY)
  })
})

describe("a faulty file", () => {
  const FAULTS: Record<string, { text: string; says: RegExp }> = {
    "that is not YAML": {
      text: `id: ${ACME}\nname: "Acme\n`,
      says: /acme\.yaml:\d+: is not valid YAML: .+/,
    },
    "with an unknown key": {
      text: `id: ${ACME}\nname: Acme\nsede: demo\n`,
      says: /acme\.yaml:3: sede: is not known here; the keys are id, name, seed/,
    },
    "with the id of another": {
      text: `name: Acme\nid: ${GLOBEX}\n`,
      says: /acme\.yaml:2: id: is also in \S+globex\.yaml; .*give the newer file a fresh one/,
    },
    "with a bad name": {
      text: `id: ${ACME}\nname: Acme & Sons\n`,
      says: /acme\.yaml:2: name: must be letters and digits/,
    },
  }

  it.each(Object.keys(FAULTS))(
    "%s is refused with file, line, key and remedy, removes nothing and stops nobody else",
    async (which) => {
      const { text, says } = FAULTS[which]!
      const [databases, before] = [await system.databases(), system.printed().length]
      const id = crypto.randomUUID()
      const name = `Other-${id.slice(0, 8)}`
      await save("acme.yaml", text)
      await eventually("the fault is told", async () => {
        expect(system.printed().slice(before)).toMatch(says)
        expect((await system.status()).problems.join("\n")).toMatch(says)
      })

      await save("other.yaml", `id: ${id}\nname: ${name}\nseed: demo\n`)
      await settled("a new tenant is served all the same", { id, name, state: "active" })
      expect(await system.databases()).toEqual([...databases, `products-${name}`].toSorted())
      for (const tenant of [SHOPIFY, NORTHWIND, GLOBEX, ACME, id]) {
        expect(await request("GET", "/products?limit=1", { tenant })).toMatchObject({ status: 200 })
      }

      // While the file is faulty nobody is retired.
      await Promise.all([save("acme.yaml", `id: ${ACME}\nname: Acme\nseed: demo\n`), remove("other.yaml")])
      await settled("the other tenant is retired", { id, name, state: "retired" })
      expect((await system.status()).problems).toEqual([])
    },
  )
})

it("no credential is printed, nor seen in the list of processes", async () => {
  const credentials = await system.credentials()
  expect(credentials.length).toBeGreaterThan(5)
  const seen = [system.printed(), ...system.processes().flatMap((running) => running.arguments)].join("\n")
  for (const credential of credentials) expect(seen.includes(credential)).toBe(false)
})
