/** The routes of databases. */
import { bodyObject, nameIn, ok, Refusal, type Handler } from "./answer.ts"
import { addDatabase, findRole, listDatabases, PROTECTED_DATABASES, type DatabaseRow } from "./catalogue.ts"
import type { Queryable } from "./control.ts"
import { mutate } from "./mutate.ts"
import { presentDatabase } from "./present.ts"

export const listDatabasesRoute: Handler = async (_call, { cell, control }) => {
  const rows = await listDatabases(control.pool)
  return ok({ databases: rows.map((row) => presentDatabase(cell, row)) })
}

export const getDatabaseRoute: Handler = async (call, { cell, control }) => {
  const row = (await listDatabases(control.pool)).find(isCalled(call.params["database_name"]!))
  if (row === undefined) throw new Refusal(404, "database not found")
  return ok({ database: presentDatabase(cell, row) })
}

export const createDatabaseRoute: Handler = async (call, world) => {
  const wanted = bodyObject(call, "database")
  const name = nameIn(wanted["name"], "database.name")
  const owner = nameIn(wanted["owner_name"], "database.owner_name")
  refuseProtected(name)
  return mutate(call, world, async (client, databases) => {
    if (databases.some(isCalled(name))) throw new Refusal(409, `database "${name}" already exists`)
    if (databases.length >= call.limit) {
      throw new Refusal(422, `a branch holds at most ${call.limit} databases`, "DATABASES_LIMIT_EXCEEDED")
    }
    await requireRole(client, owner)
    const row = await addDatabase(client, name, owner)
    return {
      kind: "change",
      effect: { kind: "create-database", key: row.key },
      status: 201,
      body: { database: presentDatabase(world.cell, row) },
    }
  })
}

export const updateDatabaseRoute: Handler = async (call, world) => {
  const wanted = bodyObject(call, "database")
  return mutate(call, world, async (client, databases) => {
    const row = databases.find(isCalled(call.params["database_name"]!))
    if (row === undefined) throw new Refusal(404, "database not found")
    const name = wanted["name"] === undefined ? row.name : nameIn(wanted["name"], "database.name")
    const owner =
      wanted["owner_name"] === undefined ? row.owner : nameIn(wanted["owner_name"], "database.owner_name")
    refuseProtected(name)
    if (name !== row.name && databases.some(isCalled(name))) {
      throw new Refusal(409, `database "${name}" already exists`)
    }
    if (owner !== row.owner) await requireRole(client, owner)
    return {
      kind: "change",
      effect: { kind: "update-database", key: row.key, name, owner },
      status: 200,
      body: { database: { ...presentDatabase(world.cell, row), name, owner_name: owner } },
    }
  })
}

/** One that does not exist is answered 204, as Neon's description says. */
export const deleteDatabaseRoute: Handler = async (call, world) => {
  refuseProtected(call.params["database_name"]!)
  return mutate(call, world, async (client, databases) => {
    const row = databases.find(isCalled(call.params["database_name"]!))
    if (row === undefined) return { kind: "answer", answer: { status: 204 } }
    await client.query("update databases set state = 'deleting' where key = $1", [row.key])
    return {
      kind: "change",
      effect: { kind: "delete-database", key: row.key },
      status: 200,
      body: { database: presentDatabase(world.cell, row) },
    }
  })
}

const isCalled = (name: string) => (row: DatabaseRow) => row.name === name

async function requireRole(client: Queryable, name: string): Promise<void> {
  const role = await findRole(client, name)
  if (role === undefined) throw new Refusal(422, `role "${name}" does not exist`)
}

function refuseProtected(name: string): void {
  if (PROTECTED_DATABASES.includes(name)) throw new Refusal(422, `database name "${name}" is reserved`)
}
