import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { ended, quiet, sql, startWorld, type NeonWorld } from "./neon-world.ts"

let world: NeonWorld
let projectId: string
let branchId: string

beforeAll(async () => {
  world = await startWorld({ operationMs: 0 })
  ;({ projectId, branchId } = world.neon)
}, 120_000)
afterAll(() => world.stop(), 30_000)
beforeEach(() => quiet(world.client, projectId))

async function createRole(name: string): Promise<string> {
  const { data } = await world.client.createProjectBranchRole(projectId, branchId, { role: { name } })
  await ended(world.client, projectId, data.operations)
  return data.role.password!
}

async function createDatabase(name: string): Promise<string> {
  const { data } = await world.client.createProjectBranchDatabase(projectId, branchId, {
    database: { name, owner_name: world.neon.owner },
  })
  await ended(world.client, projectId, data.operations)
  return uriOf(name)
}

async function uriOf(database: string, role = world.neon.owner): Promise<string> {
  const { data } = await world.client.getConnectionUri({
    projectId,
    database_name: database,
    role_name: role,
  })
  return data.uri
}

function asRole(uri: string, role: string, password: string): string {
  const url = new URL(uri)
  url.username = role
  url.password = password
  return url.href
}

const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => "done",
    (error: { code?: string }) => error.code,
  )

describe("privileges", () => {
  test("the owner may make databases and roles, and is no superuser", async () => {
    const attributes = `
      select rolsuper, rolcreatedb, rolcreaterole, rolcanlogin, pg_has_role(oid, 'neon_superuser', 'member') as member
      from pg_roles where rolname = $1`
    expect(await sql(world.postgres.superuserUri, attributes, [world.neon.owner])).toEqual([
      { rolsuper: false, rolcreatedb: true, rolcreaterole: true, rolcanlogin: true, member: true },
    ])
    expect(await codeOf(sql(await uriOf("neondb"), "alter system set work_mem = '8MB'"))).toBe("42501")
  })

  test("the control database is on no list and lets nobody in but the superuser", async () => {
    const { data } = await world.client.listProjectBranchDatabases(projectId, branchId)
    expect(data.databases.map(({ name }) => name)).not.toContain("neon_control")
    const uri = (await uriOf("neondb")).replace(/neondb$/, "neon_control")
    expect(await codeOf(sql(uri, "select 1"))).toBe("42501")
  })
})

describe("the life of a role", () => {
  test("its password is in the answer that made it, can be revealed, and opens a session", async () => {
    const password = await createRole("maker")
    const { data } = await world.client.getProjectBranchRolePassword(projectId, branchId, "maker")
    expect(data.password).toBe(password)
    expect(await sql(await uriOf("neondb", "maker"), "select current_user as me")).toEqual([{ me: "maker" }])
    const { data: one } = await world.client.getProjectBranchRole(projectId, branchId, "maker")
    expect(one.role).not.toHaveProperty("password")
  })

  test("a reset password replaces the old one when the operation has ended", async () => {
    const old = asRole(await uriOf("neondb"), "changer", await createRole("changer"))
    const { data } = await world.client.resetProjectBranchRolePassword(projectId, branchId, "changer")
    await ended(world.client, projectId, data.operations)
    expect(await codeOf(sql(old, "select 1"))).toBe("28P01")
    expect(await codeOf(sql(asRole(old, "changer", data.role.password!), "select 1"))).toBe("done")
    expect(await uriOf("neondb", "changer")).toContain(encodeURIComponent(data.role.password!))
  })

  test("a role that owns a table is deleted, and the table goes to the database's owner", async () => {
    const uri = await createDatabase("inherits")
    const leaver = asRole(uri, "leaver", await createRole("leaver"))
    await sql(uri, "grant create on schema public to leaver")
    await sql(leaver, "create table left_behind as select 1 as n")
    const { data } = await world.client.deleteProjectBranchRole(projectId, branchId, "leaver")
    const [operation] = await ended(world.client, projectId, data.operations)
    expect(operation?.status).toBe("finished")
    const owner = "select tableowner from pg_tables where tablename = 'left_behind'"
    expect(await sql(uri, owner)).toEqual([{ tableowner: world.neon.owner }])
    expect((await world.client.deleteProjectBranchRole(projectId, branchId, "leaver")).status).toBe(204)
  })

  test("a role that owns a database, or whose name is reserved, is not deleted", async () => {
    expect((await world.client.deleteProjectBranchRole(projectId, branchId, world.neon.owner)).status).toBe(
      422,
    )
    expect((await world.client.deleteProjectBranchRole(projectId, branchId, "neon_superuser")).status).toBe(
      422,
    )
  })

  test("a taken name is refused with 409, a reserved one with 422", async () => {
    const make = (name: string) =>
      world.client.createProjectBranchRole(projectId, branchId, { role: { name } })
    expect((await make(world.neon.owner)).status).toBe(409)
    expect((await make("pg_anything")).status).toBe(422)
    expect((await make("neon_superuser")).status).toBe(422)
  })

  test("a role made by SQL is listed, but its password is not known", async () => {
    await sql(await uriOf("neondb"), "create role by_sql login password 'a-long-enough-password'")
    const { data } = await world.client.listProjectBranchRoles(projectId, branchId)
    expect(data.roles.map(({ name }) => name)).toContain("by_sql")
    expect((await world.client.getProjectBranchRolePassword(projectId, branchId, "by_sql")).status).toBe(412)
  })
})
