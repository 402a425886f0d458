import { setImmediate as turn } from "node:timers/promises"
import { expect, test } from "vitest"
import { apply } from "../../reconciler/apply.ts"
import { TerminalError } from "../../reconciler/errors.ts"
import type { Action, Change } from "../../reconciler/action.ts"
import { diff } from "../../reconciler/plan.ts"
import type { TenantId } from "../../reconciler/tenant.ts"
import type { World } from "../../reconciler/world.ts"
import { ADA, BOB, change, CLEO, database, desired, entry, FLEET, NOW, secretOf } from "./samples.ts"

const turns = async (count: number) => {
  for (let n = 0; n < count; n++) await turn()
}
const pause = () => turns(3)

/** A world of names only: what Neon would do with renames, at a pace that the event loop sets. */
function worldOf(names: Set<string>): World {
  const cell = {
    name: "cell-1",
    rename: async (from: string, to: string) => {
      await pause()
      if (!names.has(from) || names.has(to)) throw new TerminalError("NameTaken", `${from} to ${to}`)
      names.delete(from)
      names.add(to)
    },
  }
  const vault = {
    tag: pause,
    publish: pause,
    readValue: async () => "postgres://a:b@localhost/db",
  }
  return { cells: [cell], vault, sql: pause, drain: 0, permit: {} } as unknown as World
}

const migrations = { steps: [], version: "0001:aa", seeds: new Map() }

/** The outcomes; undefined where the pass has not ended when nothing goes on any more. */
async function outcomesOf(changes: readonly Change[], names: Set<string>) {
  const { signal } = new AbortController()
  const options = {
    world: worldOf(names),
    fleet: FLEET,
    migrations,
    observed: { databases: [], secrets: [] },
    signal,
    progress: () => {},
  }
  const outcomes = await Promise.race([apply({ changes }, options), turns(500)])
  return outcomes?.map(({ error }) => error?.reason ?? "done")
}

const rename = (from: string, to: string): Action => ({
  kind: "rename",
  from: `products-${from}`,
  to: `products-${to}`,
})

/** The renames of tenants that want each other's names; without SQL, for which nobody is there. */
function planFor(...moves: readonly (readonly [TenantId, string, string])[]): Change[] {
  const observed = {
    databases: moves.map(([id, from]) => database(`products-${from}`, id)),
    secrets: moves.map(([id, from]) => secretOf(entry(id, from))),
  }
  const { changes } = diff(desired(...moves.map(([id, , name]) => ({ id, name }))), observed, NOW)
  return changes.map((one) => ({ ...one, actions: one.actions.filter(({ kind }) => kind === "rename") }))
}

test("a chain of renames is done from its free end", async () => {
  const names = new Set(["products-Ada", "products-Bob"])
  expect(await outcomesOf(planFor([ADA, "Ada", "Bob"], [BOB, "Bob", "Cleo"]), names)).toEqual([
    "done",
    "done",
  ])
  expect([...names].sort()).toEqual(["products-Bob", "products-Cleo"])
})

test("two tenants swap their names in one pass, which ends", async () => {
  const names = new Set(["products-Ada", "products-Bob"])
  expect(await outcomesOf(planFor([ADA, "Ada", "Bob"], [BOB, "Bob", "Ada"]), names)).toEqual(["done", "done"])
  expect([...names].sort()).toEqual(["products-Ada", "products-Bob"])
})

test("three tenants pass their names round in one pass, which ends", async () => {
  const names = new Set(["products-Ada", "products-Bob", "products-Cleo"])
  const changes = planFor([ADA, "Ada", "Bob"], [BOB, "Bob", "Cleo"], [CLEO, "Cleo", "Ada"])
  expect(await outcomesOf(changes, names)).toEqual(["done", "done", "done"])
  expect(names.size).toBe(3)
})

test("who waits for a name hears when its holder has failed, and so does who waits for them", async () => {
  const names = new Set(["products-Ada", "products-Bob", "products-Cleo", "products-Dan"])
  const changes = [
    change("rename", ADA, "Ada", rename("Ada", "Bob")),
    change("rename", BOB, "Bob", rename("Bob", "Cleo")),
    change("rename", CLEO, "Cleo", rename("Cleo", "Dan")),
  ]
  expect(await outcomesOf(changes, names)).toEqual(["NameNotFree", "NameNotFree", "NameTaken"])
  expect(names.size).toBe(4)
})

test("a name in other letters is waited for, and swapped, as the same name is", async () => {
  const names = new Set(["products-Ada", "products-Bob", "products-Dan"])
  const failing = planFor([ADA, "Ada", "Dan"], [BOB, "Bob", "ada"])
  expect(await outcomesOf(failing, names)).toEqual(["NameTaken", "NameNotFree"])
  expect(await outcomesOf(planFor([ADA, "Ada", "bob"], [BOB, "Bob", "ada"]), names)).toEqual(["done", "done"])
  expect([...names].sort()).toEqual(["products-Dan", "products-ada", "products-bob"])
})

test("where two have one name, in two cells, who wants it waits for both", async () => {
  const names = new Set(["products-Ada", "products-Cleo", "products-Dan"])
  const mover = change("rename", ADA, "Ada", rename("Ada", "Eve"))
  const failing = change("rename", BOB, "Bob", rename("Ada", "Dan"))
  const heir = change("rename", CLEO, "Cleo", rename("Cleo", "Ada"))
  for (const changes of [
    [mover, failing, heir],
    [failing, mover, heir],
  ]) {
    const outcomes = await outcomesOf(changes, new Set(names))
    expect(outcomes?.at(-1)).toBe("NameNotFree")
    expect(outcomes?.toSorted()).toEqual(["NameNotFree", "NameTaken", "done"])
  }
})
