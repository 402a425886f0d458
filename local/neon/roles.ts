/** The routes of roles. */
import { bodyObject, nameIn, ok, Refusal, type Handler } from "./answer.ts"
import { listRoles, type RoleRow } from "./catalogue.ts"
import { NEON_SUPERUSER, newPassword } from "./cell.ts"
import type { Queryable } from "./control.ts"
import { mutate } from "./mutate.ts"
import { presentRole } from "./present.ts"

export const listRolesRoute: Handler = async (_call, { cell, control }) => {
  const rows = await listRoles(control.pool)
  return ok({ roles: rows.map((row) => presentRole(cell, row)) })
}

export const getRoleRoute: Handler = async (call, { cell, control }) => {
  const row = await requireRole(control.pool, call.params["role_name"]!)
  return ok({ role: presentRole(cell, row) })
}

/** Only passwords that the API itself gave are known. */
export const revealPasswordRoute: Handler = async (call, { control }) => {
  const row = await requireRole(control.pool, call.params["role_name"]!)
  if (row.password === null) throw new Refusal(412, "the password of this role is not stored")
  return ok({ password: row.password })
}

export const createRoleRoute: Handler = async (call, world) => {
  const wanted = bodyObject(call, "role")
  const name = nameIn(wanted["name"], "role.name")
  const login = wanted["no_login"] !== true
  refuseReserved(name)
  return mutate(call, world, async (client) => {
    const rows = await listRoles(client)
    if (rows.some((row) => row.name === name)) throw new Refusal(409, `role "${name}" already exists`)
    if (rows.length >= call.limit) {
      throw new Refusal(422, `a branch holds at most ${call.limit} roles`, "ROLES_LIMIT_EXCEEDED")
    }
    const password = login ? newPassword() : undefined
    await client.query("insert into roles (name, password, state) values ($1, $2, 'creating')", [
      name,
      password ?? null,
    ])
    const row = await requireRole(client, name)
    return {
      kind: "change",
      effect: { kind: "create-role", name, login },
      status: 201,
      body: { role: presentRole(world.cell, row, password) },
    }
  })
}

/** The old password is good until the last operation has ended. */
export const resetPasswordRoute: Handler = (call, world) =>
  mutate(call, world, async (client) => {
    const row = await requireRole(client, call.params["role_name"]!)
    const password = newPassword()
    return {
      kind: "change",
      effect: { kind: "reset-password", name: row.name, password },
      status: 200,
      body: { role: presentRole(world.cell, row, password) },
    }
  })

/** One that does not exist is answered 204; one that owns a database is refused. */
export const deleteRoleRoute: Handler = async (call, world) => {
  const name = call.params["role_name"]!
  refuseReserved(name)
  return mutate(call, world, async (client, databases) => {
    const row = (await listRoles(client)).find((role) => role.name === name)
    if (row === undefined) return { kind: "answer", answer: { status: 204 } }
    const owned = databases.filter((database) => database.owner === name)
    if (owned.length > 0) {
      throw new Refusal(
        422,
        `role "${name}" owns databases: ${owned.map((database) => database.name).join(", ")}`,
      )
    }
    await client.query("update roles set state = 'deleting' where name = $1", [name])
    return {
      kind: "change",
      effect: { kind: "delete-role", name },
      status: 200,
      body: { role: presentRole(world.cell, row) },
    }
  })
}

async function requireRole(client: Queryable, name: string): Promise<RoleRow> {
  const row = (await listRoles(client)).find((role) => role.name === name)
  if (row === undefined) throw new Refusal(404, "role not found")
  return row
}

function refuseReserved(name: string): void {
  if (name === "postgres" || name === NEON_SUPERUSER || name === "public" || name.startsWith("pg_")) {
    throw new Refusal(422, `role name "${name}" is reserved`)
  }
}
