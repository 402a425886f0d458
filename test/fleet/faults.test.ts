/** Negative controls of the verdict that the proofs of this folder rest on: each kind of harm is seen. */
import { afterAll, beforeAll, expect, it } from "vitest"
import { type Expected, faults } from "./faults.ts"
import { type FleetWorld, startFleet } from "./world.ts"

let world: FleetWorld
beforeAll(async () => {
  world = await startFleet({ steps: 2 })
})
afterAll(() => world.stop())

const tenant = (name: string, state: Expected["state"]): Expected => ({
  id: crypto.randomUUID(),
  name,
  state,
})
const active = tenant("Alpha", "active")
const other = tenant("Other", "active")
const lost = tenant("Lost", "active")
const closed = tenant("Closed", "active")
const suspended = tenant("Suspended", "suspended")
const retired = tenant("Retired", "retired")
const all = [active, other, lost, closed, suspended, retired]

beforeAll(async () => {
  for (const { id, name } of all) await world.declare({ id, name })
  await world.prepare()
  for (const { id } of all) await world.plant(id)
  await world.declare({ id: suspended.id, name: suspended.name, suspended: true })
  await world.remove(retired.id)
  await world.prepare()
  expect(await faults(world, all)).toEqual([])
})

const role = ({ id }: Expected, suffix = "") => `"tenant_${id}${suffix}"`
const run = (database: string, sql: string) => world.sql(database, sql)
const edit = ({ id }: Expected, properties: object) =>
  world.secrets.updateSecretProperties(`tenant-${id}`, "", properties)

const HARM: Record<string, { sees: RegExp; do: () => Promise<unknown> }> = {
  "a lost row": {
    sees: /Alpha.*rows is/,
    do: () => run("products-Alpha", "delete from products where id = 1"),
  },
  "a row of another tenant": {
    sees: /Other.*rows is/,
    do: () =>
      run(
        "products-Other",
        `insert into products (name, price, description) values ('${active.id} row', 1, 'planted')`,
      ),
  },
  "a lost row of a retired tenant": {
    sees: /Retired.*rows is/,
    do: () => run(`retired-${retired.id}`, "delete from products where id = 1"),
  },
  "an empty database in the place of one that is missing": {
    sees: /Lost.*has no schema/,
    do: async () => {
      await run("postgres", `drop database "products-Lost"`)
      await run("postgres", `create database "products-Lost"`)
    },
  },
  "a disabled secret": { sees: /Closed.*secret cannot be read/, do: () => edit(closed, { enabled: false }) },
  "an enabled secret of a suspended tenant": {
    sees: /Suspended.*secret enabled/,
    do: () => edit(suspended, { enabled: true }),
  },
  "a tag that is wrong": {
    sees: /Alpha.*tags/,
    do: () => edit(active, { tags: { "managed-by": "tenantry" } }),
  },
  "a credential that does not work": {
    sees: /Alpha.*credential does not work/,
    do: () => run("postgres", `alter role ${role(active, "_a")} password 'another'`),
  },
  "a second open login": {
    sees: /Alpha.*open logins/,
    do: () => run("postgres", `alter role ${role(active, "_b")} login`),
  },
  "a login of a suspended tenant that is open again": {
    sees: /Suspended.*past still opens/,
    do: () => run("postgres", `alter role ${role(suspended, "_a")} login`),
  },
  "a role that reaches another tenant's database": {
    sees: /Alpha.*in reach/,
    do: () => run("postgres", `grant connect on database "products-Other" to ${role(active)}`),
  },
  "a right of PUBLIC": {
    sees: /Alpha.*PUBLIC/,
    do: () => run("postgres", `grant connect on database "products-Alpha" to public`),
  },
  "a marker of another tenant": {
    sees: /Alpha.*marker/,
    do: () =>
      run("postgres", `comment on database "products-Alpha" is 'tenantry/1 fleet=proof tenant=${other.id}'`),
  },
  "an old schema": {
    sees: /Alpha.*schema is/,
    do: () => run("products-Alpha", "delete from tenantry.migrations where name ~ '^0002'"),
  },
  "a database that belongs to nobody": {
    sees: /database products-Nobody is left over/,
    do: () => run("postgres", `create database "products-Nobody"`),
  },
  "a role that belongs to nobody": {
    sees: /role tenant_nobody is left over/,
    do: () => run("postgres", "create role tenant_nobody"),
  },
  "a secret that belongs to nobody": {
    sees: /secret tenant-nobody is left over/,
    do: () => world.secrets.setSecret("tenant-nobody", "x"),
  },
}

it.each(Object.entries(HARM))("%s", async (_, { sees, do: harm }) => {
  expect((await faults(world, all)).join("\n")).not.toMatch(sees)
  await harm()
  expect((await faults(world, all)).join("\n")).toMatch(sees)
})

it("a printed credential", async () => {
  // A process that never had it cannot know that this is a password.
  const { password } = new URL(world.published()[0]!.uri)
  await world.run(["validate", `/nowhere/${password}`])
  expect(await faults(world, all)).toContain("the reconciler has printed 1 credentials")
})

it("a touched database or secret of a stranger", async () => {
  const touched = "something that is not this fleet's was touched"
  await run("analytics", "update kept set text = 'changed'")
  expect(await faults(world, all)).toContain(touched)
  await run("analytics", "update kept set text = 'rows of analytics'")
  expect(await faults(world, all)).not.toContain(touched)
  await world.secrets.updateSecretProperties("smtp-password", "", { tags: { team: "mail", more: "x" } })
  expect(await faults(world, all)).toContain(touched)
})
