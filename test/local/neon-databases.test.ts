import { OperationStatus } from "@neondatabase/api-client"
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest"
import { Client } from "pg"
import { ended, quiet, sql, startWorld, until, type NeonWorld } from "./neon-world.ts"

let world: NeonWorld
let projectId: string
let branchId: string

beforeAll(async () => {
  world = await startWorld()
  ;({ projectId, branchId } = world.neon)
}, 120_000)
afterAll(() => world.stop(), 30_000)
afterEach(async () => {
  world.neon.faults.clear()
  await quiet(world.client, projectId)
})

const listNames = async () =>
  (await world.client.listProjectBranchDatabases(projectId, branchId)).data.databases.map(({ name }) => name)

const create = (name: string, owner = world.neon.owner) =>
  world.client.createProjectBranchDatabase(projectId, branchId, { database: { name, owner_name: owner } })

const finish = async (operations: Parameters<typeof ended>[2]) =>
  (await ended(world.client, projectId, operations)).map(({ status }) => status)

async function createNow(name: string): Promise<string> {
  const { data } = await create(name)
  expect(await finish(data.operations)).toEqual(["finished", "skipped"])
  return uriOf(name)
}

async function uriOf(name: string, role = world.neon.owner): Promise<string> {
  const { data } = await world.client.getConnectionUri({ projectId, database_name: name, role_name: role })
  return data.uri
}

const refusal = async (uri: string) => {
  const error = await sql(uri, "select 1").then(
    () => undefined,
    (thrown: { code?: string }) => thrown,
  )
  return error?.code
}

describe("creation", () => {
  test("a project has one database from the start, which its owner owns", async () => {
    const { data } = await world.client.listProjectBranchDatabases(projectId, branchId)
    expect(data.databases).toMatchObject([
      { name: "neondb", owner_name: world.neon.owner, branch_id: branchId },
    ])
    expect(data.databases[0]!.id).toSatisfy(Number.isInteger)
    expect(await sql(await uriOf("neondb"), "select current_database() as name")).toEqual([
      { name: "neondb" },
    ])
  })

  test("a created database is scheduled, then run, then real and owned by whom was asked", async () => {
    const { status, data } = await create("made-Once")
    expect(status).toBe(201)
    expect(data.operations.map(({ action, status: at }) => [action, at])).toEqual([
      ["apply_config", "scheduling"],
      ["suspend_compute", "scheduling"],
    ])
    const [operation] = data.operations
    await until("the operation runs", async () => {
      const answer = await world.client.getProjectOperation(projectId, operation!.id)
      return answer.data.operation.status !== OperationStatus.Scheduling
    })
    expect(await finish(data.operations)).toEqual(["finished", "skipped"])
    const owner = "select pg_get_userbyid(datdba) as owner from pg_database where datname = 'made-Once'"
    expect(await sql(world.postgres.superuserUri, owner)).toEqual([{ owner: world.neon.owner }])
    const again = await world.client.getProjectBranchDatabase(projectId, branchId, "made-Once")
    expect(again.data.database.id).toBe(data.database.id)
  })

  test("a new database is listed at once and refuses connections until its operations ended", async () => {
    world.neon.faults.add({ kind: "operation-stuck", acted: true })
    const { data } = await create("closed-at-first")
    await until("Postgres has the database", async () => {
      const found = await sql(
        world.postgres.superuserUri,
        "select from pg_database where datname = 'closed-at-first'",
      )
      return found.length === 1
    })
    expect(await listNames()).toContain("closed-at-first")
    const uri = await uriOf("closed-at-first")
    expect(await refusal(uri)).toBe("55000")
    world.neon.faults.clear()
    await finish(data.operations)
    expect(await refusal(uri)).toBeUndefined()
  })

  test("a name that is taken is refused with 409, an owner that is missing with 422", async () => {
    expect((await create("neondb")).status).toBe(409)
    expect((await create("orphan", "nobody-here")).status).toBe(422)
    expect(await listNames()).not.toContain("orphan")
  })

  test("reserved names and names that Postgres cannot hold are refused", async () => {
    for (const name of ["postgres", "template0", "template1", "neon_control"]) {
      expect((await create(name)).status).toBe(422)
    }
    for (const name of ["", "n".repeat(64), "ü".repeat(32), "nul\0"])
      expect((await create(name)).status).toBe(400)
    expect((await create("n".repeat(63))).status).toBe(201)
  })
})

describe("one change at a time", () => {
  test("while a change is under way, every other one is refused with 423 and Neon's words", async () => {
    world.neon.faults.add({ kind: "operation-stuck" })
    await create("first-come")
    const refused = [
      await create("second-come"),
      await world.client.deleteProjectBranchDatabase(projectId, branchId, "neondb"),
      await world.client.updateProjectBranchDatabase(projectId, branchId, "neondb", {
        database: { name: "x" },
      }),
      await world.client.createProjectBranchRole(projectId, branchId, { role: { name: "late" } }),
    ]
    for (const { status, data } of refused) {
      expect(status).toBe(423)
      expect(data).toMatchObject({
        code: "",
        message: "project already has running conflicting operations, scheduling of new ones is prohibited",
      })
    }
  })

  test("of ten creations at once, one is carried out and nine are refused", async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, (_, index) => create(`race-${index}`)))
    const statuses = answers.map(({ status }) => status).toSorted((a, b) => a - b)
    expect(statuses).toEqual([201, 423, 423, 423, 423, 423, 423, 423, 423, 423])
    await quiet(world.client, projectId)
    expect((await listNames()).filter((name) => name.startsWith("race-"))).toHaveLength(1)
  })
})

describe("rename and owner", () => {
  test("a rename fails while a session is connected, and the old name stays", async () => {
    const session = new Client({ connectionString: await createNow("occupied") })
    await session.connect()
    try {
      const { status, data } = await world.client.updateProjectBranchDatabase(
        projectId,
        branchId,
        "occupied",
        {
          database: { name: "vacant" },
        },
      )
      expect(status).toBe(200)
      const [operation] = await ended(world.client, projectId, data.operations)
      expect(operation).toMatchObject({
        status: "failed",
        failures_count: 1,
        error: 'database "occupied" is being accessed by other users',
      })
    } finally {
      await session.end()
    }
    expect(await listNames()).toContain("occupied")
    expect(await listNames()).not.toContain("vacant")
  }, 30_000)

  test("a rename to a name that is taken is refused with 409, of a missing database with 404", async () => {
    await createNow("stays")
    const rename = (from: string, name: string) =>
      world.client.updateProjectBranchDatabase(projectId, branchId, from, { database: { name } })
    expect((await rename("stays", "neondb")).status).toBe(409)
    expect((await rename("missing", "found")).status).toBe(404)
    expect((await rename("stays", "postgres")).status).toBe(422)
  })

  test("a database can be given to another owner", async () => {
    await createNow("handed-over")
    const role = await world.client.createProjectBranchRole(projectId, branchId, { role: { name: "heir" } })
    await finish(role.data.operations)
    const { data } = await world.client.updateProjectBranchDatabase(projectId, branchId, "handed-over", {
      database: { owner_name: "heir" },
    })
    await finish(data.operations)
    const owner = "select pg_get_userbyid(datdba) as owner from pg_database where datname = 'handed-over'"
    expect(await sql(world.postgres.superuserUri, owner)).toEqual([{ owner: "heir" }])
  })
})

describe("deletion", () => {
  test("a deleted database stays listed until its operation ends, and its sessions die", async () => {
    const uri = await createNow("doomed")
    const session = new Client({ connectionString: uri })
    const died = new Promise((resolve) => session.on("error", resolve))
    await session.connect()
    world.neon.faults.add({ kind: "operation-stuck", acted: true })
    const { status, data } = await world.client.deleteProjectBranchDatabase(projectId, branchId, "doomed")
    expect(status).toBe(200)
    await died
    await until("Postgres has dropped it", async () => (await refusal(uri)) === "3D000")
    expect(await listNames()).toContain("doomed")
    world.neon.faults.clear()
    expect(await finish(data.operations)).toEqual(["finished", "skipped"])
    expect(await listNames()).not.toContain("doomed")
  })

  test("deleting what is not there is answered 204 without a body, as Neon's description says", async () => {
    const { status, data } = await world.client.deleteProjectBranchDatabase(projectId, branchId, "never-was")
    expect([status, data]).toEqual([204, ""])
  })
})

describe("SQL behind the API's back", () => {
  test("a database made by SQL is listed with an id of its own, renamed with the same id, and forgotten when dropped", async () => {
    const uri = await uriOf("neondb")
    const ids = async () =>
      (await world.client.listProjectBranchDatabases(projectId, branchId)).data.databases
    const known = (await ids()).map(({ id }) => id)
    await sql(uri, "create database by_hand")
    const made = (await ids()).find(({ name }) => name === "by_hand")
    expect(made).toMatchObject({ owner_name: world.neon.owner })
    expect(known).not.toContain(made!.id)
    await sql(uri, "alter database by_hand rename to by_hand_2")
    expect((await ids()).find(({ id }) => id === made!.id)).toMatchObject({ name: "by_hand_2" })
    await sql(uri, "drop database by_hand_2")
    expect((await ids()).map(({ id }) => id)).toEqual(known)
  })
})
