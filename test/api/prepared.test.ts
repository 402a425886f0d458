import { afterAll, beforeAll, expect, test } from "vitest"
import type { Connection } from "../../api/connections.ts"
import { Run } from "../../api/prepared.ts"
import { startProxy } from "./proxy.ts"
import { connectTo, startWorld, type TestTenant, type World } from "./world.ts"

let world: World
let tenant: TestTenant
let proxy: Awaited<ReturnType<typeof startProxy>>
let connection: Connection
/** The messages that were sent, each by the letter that the protocol has for it. */
let sent = ""

function hear(chunk: Buffer): void {
  for (let at = 0; at < chunk.length; at += 1 + chunk.readUInt32BE(at + 1))
    sent += String.fromCodePoint(chunk[at]!)
}

beforeAll(async () => {
  world = await startWorld()
  tenant = await world.addTenant("Prepared", { seed: true })
  const uri = new URL(tenant.uri)
  let isOpen = false
  proxy = await startProxy(Number(uri.port), (chunk) => isOpen && hear(chunk))
  uri.port = String(proxy.port)
  connection = await connectTo(tenant, uri.href)
  isOpen = true
}, 60_000)
afterAll(async () => {
  await connection?.close()
  proxy?.close()
  await world?.close()
})

/** What `work` sends, in order: Parse, Bind, Describe, Execute, Sync. */
async function sentBy<T>(work: () => Promise<T>): Promise<[string, T]> {
  sent = ""
  const result = await work()
  return [sent, result]
}

const KINDS = {
  name: "kinds",
  text: `select $1::bigint as id, $2::text as name, $3::numeric as price, $4::int as few, true as yes,
    '[1, {"a": null}]'::json as list, null as nothing`,
}
const kinds = () => connection.run(KINDS, [2 ** 53 - 1, "O'Neill \u{1f600}", "1234567890.12", null])
const AS_READ = [
  {
    id: 2 ** 53 - 1,
    name: "O'Neill \u{1f600}",
    price: 1234567890.12,
    few: null,
    yes: true,
    list: [1, { a: null }],
    nothing: null,
  },
]

test("a statement is parsed and described once, and its rows are the same ever after", async () => {
  expect(await sentBy(kinds)).toEqual(["PBDES", AS_READ])
  expect(await sentBy(kinds)).toEqual(["BES", AS_READ])
  expect(await sentBy(() => Promise.all([kinds(), kinds()]))).toEqual(["BESBES", [AS_READ, AS_READ]])
})

test("who asks before the first answer is there has it described too, and parsed once", async () => {
  const select = { name: "some", text: "select id, name from products where id <= $1 order by id" }
  const both = () => Promise.all([connection.run(select, [1]), connection.run(select, [2])])
  const [first, [one, two]] = await sentBy(both)
  expect(first).toBe("PBDESBDES")
  expect([one.length, two.length]).toEqual([1, 2])
  expect(await sentBy(both)).toEqual(["BESBES", [one, two]])
})

test("what gives no rows has none, and no rows are not another statement's", async () => {
  const touch = { name: "touch", text: "update products set updated_at = now() where id = $1" }
  const nobody = { name: "nobody", text: "select id from products where id = $1" }
  for (let time = 0; time < 2; time++) {
    expect(await connection.run(touch, [1])).toEqual([])
    expect(await connection.run(nobody, [-1])).toEqual([])
    expect(await connection.run(nobody, [1])).toEqual([{ id: 1 }])
  }
})

test("a statement that the server refuses is the caller's error, and the next one is answered", async () => {
  const wrong = { name: "wrong", text: "select * from nowhere" }
  for (let time = 0; time < 2; time++)
    await expect(connection.run(wrong, [])).rejects.toMatchObject({ code: "42P01" })
  const divide = { name: "divide", text: "select 1 / $1::int as share" }
  expect(await connection.run(divide, [1])).toEqual([{ share: 1 }])
  await expect(connection.run(divide, [0])).rejects.toMatchObject({ code: "22012" })
  expect(await connection.run(divide, [1])).toEqual([{ share: 1 }])
})

test("a name stands for one statement only", async () => {
  const text = "select 1 as one"
  expect(await connection.run({ name: "named", text }, [])).toEqual([{ one: 1 }])
  await expect(connection.run({ name: "named", text: "select 2 as two" }, [])).rejects.toThrow(
    "two statements are named named",
  )
  expect(await connection.run({ name: "named", text }, [])).toEqual([{ one: 1 }])
})

test("columns that change under a statement are refused by the server, and never read as what they were", async () => {
  await world.sql(
    tenant.database,
    "create table things (id bigint, name text); grant select on things to public",
  )
  await world.sql(tenant.database, "insert into things values (1, 'one')")
  const all = { name: "things", text: "select * from things" }
  expect(await connection.run(all, [])).toEqual([{ id: 1, name: "one" }])
  await world.sql(tenant.database, "alter table things alter column id type text")
  await expect(connection.run(all, [])).rejects.toMatchObject({ code: "0A000" })
})

test("rows of other columns than were described are an error: a pooler may have lent another session", () => {
  const described = [
    { name: "id", dataTypeID: 20 },
    { name: "few", dataTypeID: 23 },
  ]
  const readOf = (...fields: (string | null)[]) => {
    const run = new Run({ name: "lent", text: "select id, few from things" }, [], new Map())
    run.handleRowDescription({ fields: described })
    run.handleDataRow({ fields })
    return run.read()
  }
  expect(readOf("1", null)).toEqual([{ id: 1, few: null }])
  for (const fields of [["one", "2"], ["1", "2 or 3"], ["1"], ["1", "2", "3"]])
    expect(() => readOf(...fields)).toThrow(expect.objectContaining({ name: "StaleColumns" }))
})

test("a value that has no text is refused before anything is sent", async () => {
  const odd = Object.create(null) as string
  const [nothing] = await sentBy(() => connection.run(KINDS, [odd]).catch(() => "refused"))
  expect(nothing).toBe("")
  expect(connection.isStalled()).toBe(false)
  expect(await kinds()).toEqual(AS_READ)
})
