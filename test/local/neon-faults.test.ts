import { OperationStatus } from "@neondatabase/api-client"
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest"
import type { Fault } from "../../local/neon/faults.ts"
import { API_KEY, ended, quiet, sql, startWorld, until, type NeonWorld } from "./neon-world.ts"

let world: NeonWorld
let projectId: string
let branchId: string

beforeAll(async () => {
  world = await startWorld({ operationMs: 20 })
  ;({ projectId, branchId } = world.neon)
}, 120_000)
afterAll(() => world.stop(), 30_000)
afterEach(async () => {
  world.neon.faults.clear()
  await quiet(world.client, projectId)
})

const add = (fault: Fault) => world.neon.faults.add(fault)
const list = () => world.client.listProjectBranchDatabases(projectId, world.neon.branchId)
const names = async () => (await list()).data.databases.map(({ name }) => name)
const get = (name: string) => world.client.getProjectBranchDatabase(projectId, branchId, name)
const remove = (name: string) => world.client.deleteProjectBranchDatabase(projectId, branchId, name)
const create = (name: string) =>
  world.client.createProjectBranchDatabase(projectId, branchId, {
    database: { name, owner_name: world.neon.owner },
  })

const superuser = (text: string) => sql(world.postgres.superuserUri, text)

async function createNow(name: string) {
  const { data } = await create(name)
  await ended(world.client, projectId, data.operations)
  return data.database
}

/** The code of the network error that a call ends in. */
const networkError = (call: Promise<unknown>) =>
  call.then(
    () => "answered",
    (error: { code?: string }) => error.code,
  )

describe("answers instead of acting", () => {
  test.each([
    [{ kind: "locked" }, 423],
    [{ kind: "rate-limited" }, 429],
    [{ kind: "unavailable" }, 503],
    [{ kind: "bad-gateway" }, 502],
    [{ kind: "gateway-timeout" }, 524],
    [{ kind: "not-found", route: "createProjectBranchDatabase" }, 404],
    [{ kind: "key-revoked", times: 1 }, 401],
  ] satisfies [Fault, number][])("%j strikes once with %i and changes nothing", async (fault, status) => {
    add({ ...fault, route: "createProjectBranchDatabase" })
    expect((await create(`refused-${status}`)).status).toBe(status)
    expect(await names()).not.toContain(`refused-${status}`)
    expect((await create(`refused-${status}`)).status).toBe(201)
  })

  test("a rate limit says when to come back only if told to", async () => {
    add({ kind: "rate-limited", retryAfter: 7 })
    add({ kind: "rate-limited" })
    expect((await list()).headers["retry-after"]).toBe("7")
    const second = await list()
    expect([second.status, second.headers["retry-after"]]).toEqual([429, undefined])
  })

  test("gateway errors are pages of HTML, and may hide a change that was made", async () => {
    for (const [kind, status] of [
      ["bad-gateway", 502],
      ["gateway-timeout", 524],
    ] as const) {
      add({ kind, acted: true, route: "mutations" })
      const answer = await create(`behind-${status}`)
      expect(answer.status).toBe(status)
      expect(answer.headers["content-type"]).toContain("text/html")
      expect(answer.data).toContain("<html>")
      expect(await names()).toContain(`behind-${status}`)
      await quiet(world.client, projectId)
    }
  })
})

describe("trouble on the line", () => {
  test("a connection cut before acting leaves nothing behind", async () => {
    add({ kind: "drop-before", route: "createProjectBranchDatabase" })
    expect(await networkError(create("cut-before"))).toBe("ECONNRESET")
    expect(await names()).not.toContain("cut-before")
  })

  test("a connection cut after acting hides a change that was made", async () => {
    add({ kind: "drop-after", route: "createProjectBranchDatabase" })
    expect(await networkError(create("cut-after"))).toBe("ECONNRESET")
    expect(await names()).toContain("cut-after")
  })

  test("an answer that is late runs into the client's time-out, with the change made before or after", async () => {
    const hasty = (name: string) =>
      world.client.createProjectBranchDatabase(
        projectId,
        branchId,
        { database: { name, owner_name: world.neon.owner } },
        { timeout: 150 },
      )
    add({ kind: "delay", delayMs: 400, acted: true, route: "mutations" })
    expect(await networkError(hasty("late-acted"))).toBe("ECONNABORTED")
    await until("the change made before the wait is seen", async () => (await names()).includes("late-acted"))
    await quiet(world.client, projectId)
    add({ kind: "delay", delayMs: 400, route: "mutations" })
    expect(await networkError(hasty("late-act"))).toBe("ECONNABORTED")
    expect(await names()).not.toContain("late-act")
    await until("the change made after the wait is seen", async () => (await names()).includes("late-act"))
  })

  test("truncated JSON reaches the client as text with a status of success", async () => {
    add({ kind: "truncated-json", route: "listProjectBranchDatabases" })
    const { status, data } = await list()
    expect(status).toBe(200)
    expect(data).toBeTypeOf("string")
    expect(() => JSON.parse(data as unknown as string) as unknown).toThrow(SyntaxError)
  })
})

describe("operations that go wrong", () => {
  test("a failed creation leaves no database, or leaves one although it says failed", async () => {
    add({ kind: "operation-failed" })
    add({ kind: "operation-failed", acted: true })
    for (const [name, isThere] of [
      ["fails-without", false],
      ["fails-with", true],
    ] as const) {
      const { data } = await create(name)
      const [operation, next] = await ended(world.client, projectId, data.operations)
      expect(operation).toMatchObject({ status: "failed", failures_count: 1, error: expect.any(String) })
      expect(next?.status).toBe("skipped")
      expect((await names()).includes(name)).toBe(isThere)
    }
    const found = "select datname, datallowconn from pg_database where datname like 'fails-%'"
    expect(await sql(world.postgres.superuserUri, found)).toEqual([
      { datname: "fails-with", datallowconn: true },
    ])
  })

  test("a failed deletion leaves the database, which can be deleted again", async () => {
    await createNow("clings")
    add({ kind: "operation-failed" })
    await ended(world.client, projectId, (await remove("clings")).data.operations)
    expect(await names()).toContain("clings")
    await ended(world.client, projectId, (await remove("clings")).data.operations)
    expect(await names()).not.toContain("clings")
  })

  test("a stuck operation runs and locks the project until the faults are cleared", async () => {
    add({ kind: "operation-stuck" })
    const { data } = await create("stuck")
    const statusOf = async () =>
      (await world.client.getProjectOperation(projectId, data.operations[0]!.id)).data.operation.status
    await until("it runs", async () => (await statusOf()) === OperationStatus.Running)
    expect((await create("behind-it")).status).toBe(423)
    world.neon.faults.clear()
    const after = await ended(world.client, projectId, data.operations)
    expect(after.map(({ status }) => status)).toEqual(["finished", "skipped"])
    expect(await names()).toContain("stuck")
  })

  test("what is on its way in or out has a connection string for as long as it is listed", async () => {
    await createNow("on-its-way-out")
    add({ kind: "operation-stuck", acted: true })
    await remove("on-its-way-out")
    const uriStatus = async (database_name: string, role_name: string) =>
      (await world.client.getConnectionUri({ projectId, database_name, role_name })).status
    expect(await uriStatus("on-its-way-out", world.neon.owner)).toBe(200)
    world.neon.faults.clear()
    await quiet(world.client, projectId)
    expect(await uriStatus("on-its-way-out", world.neon.owner)).toBe(404)

    add({ kind: "operation-stuck" })
    await world.client.createProjectBranchRole(projectId, branchId, { role: { name: "on_its_way_in" } })
    expect(await uriStatus("neondb", "on_its_way_in")).toBe(200)
    expect(await uriStatus("neondb", "nul\0")).toBe(400)
  })

  test("a database that SQL drops before its creation has ended is made anew, and open", async () => {
    add({ kind: "operation-stuck", acted: true })
    const { data } = await create("dropped-too-soon")
    const isThere = async () =>
      (await superuser("select from pg_database where datname = 'dropped-too-soon'")).length > 0
    await until("it is there", isThere)
    await superuser('drop database "dropped-too-soon"')
    world.neon.faults.clear()
    await ended(world.client, projectId, data.operations)
    expect(await names()).toContain("dropped-too-soon")
    const [found] = await superuser("select datallowconn from pg_database where datname = 'dropped-too-soon'")
    expect(found).toEqual({ datallowconn: true })
  })

  test("an operation in error says when it is tried again, and then finishes", async () => {
    add({ kind: "operation-error", retryMs: 1000 })
    const { data } = await create("second-try")
    const seen = await until("it shows its error", async () => {
      const answer = await world.client.getProjectOperation(projectId, data.operations[0]!.id)
      return answer.data.operation.status === OperationStatus.Error && answer.data.operation
    })
    expect(seen).toMatchObject({ failures_count: 1, error: expect.any(String), retry_at: expect.any(String) })
    const [operation] = await ended(world.client, projectId, data.operations)
    expect(operation).toMatchObject({ status: "finished", failures_count: 1 })
    expect(operation).not.toHaveProperty("error")
    expect(await names()).toContain("second-try")
  })

  test("a cancelled creation leaves no database", async () => {
    add({ kind: "operation-cancelled" })
    const { data } = await create("called-off")
    const after = await ended(world.client, projectId, data.operations)
    expect(after.map(({ status }) => status)).toEqual(["cancelled", "skipped"])
    expect(await names()).not.toContain("called-off")
  })

  test("Neon's own work locks the project without a rival, and is on the list of operations", async () => {
    add({ kind: "background-lock", lockMs: 100 })
    expect((await create("no-rival")).status).toBe(423)
    const { data } = await world.client.listProjectOperations({ projectId, limit: 1 })
    expect(data.operations).toMatchObject([{ action: "check_availability" }])
    await quiet(world.client, projectId)
    expect((await create("no-rival")).status).toBe(201)
  })
})

describe("lists and lookups that lie", () => {
  test("a stale list is the one from before the last change", async () => {
    await createNow("unseen")
    add({ kind: "stale-list" })
    expect(await names()).not.toContain("unseen")
    expect(await names()).toContain("unseen")
  })

  test("a truncated list holds only the first databases", async () => {
    await createNow("one-more")
    const all = await names()
    add({ kind: "truncated-list", keep: 1 })
    add({ kind: "truncated-list" })
    expect(await names()).toEqual(all.slice(0, 1))
    expect(await names()).toEqual(all.slice(0, Math.floor(all.length / 2)))
  })

  test("a database just created can be answered 404 for a while", async () => {
    await createNow("not-yet")
    add({ kind: "not-found", times: 2 })
    expect([
      (await get("not-yet")).status,
      (await get("not-yet")).status,
      (await get("not-yet")).status,
    ]).toEqual([404, 404, 200])
  })

  test("a deletion that is carried out can be answered 204 or 404", async () => {
    for (const [fault, status] of [
      [{ kind: "no-content" }, 204],
      [{ kind: "not-found", route: "deleteProjectBranchDatabase", acted: true }, 404],
    ] satisfies [Fault, number][]) {
      await createNow("goes-quietly")
      add(fault)
      expect((await remove("goes-quietly")).status).toBe(status)
      await quiet(world.client, projectId)
      expect(await names()).not.toContain("goes-quietly")
    }
  })
})

describe("the world changes", () => {
  test("every database gets a new id, and keeps its name", async () => {
    const before = (await list()).data.databases
    add({ kind: "ids-replaced" })
    const after = (await list()).data.databases
    expect(after.map(({ name }) => name)).toEqual(before.map(({ name }) => name))
    const ids = new Set(before.map(({ id }) => id))
    expect(after.filter(({ id }) => ids.has(id))).toEqual([])
  })

  test("SQL makes and drops a database between two calls", async () => {
    add({ kind: "made-by-sql", name: "sneaked-in", route: "createProjectBranchDatabase" })
    expect((await create("sneaked-in")).status).toBe(409)
    add({ kind: "dropped-by-sql", name: "sneaked-in", route: "deleteProjectBranchDatabase" })
    expect((await remove("sneaked-in")).status).toBe(204)
  })

  test("a low limit refuses creations until the faults are cleared", async () => {
    add({ kind: "low-limit", limit: 1 })
    for (const name of ["too-many", "still-too-many"]) {
      const { status, data } = await create(name)
      expect([status, data]).toEqual([422, expect.objectContaining({ code: "DATABASES_LIMIT_EXCEEDED" })])
    }
    world.neon.faults.clear()
    expect((await create("fits")).status).toBe(201)
  })

  test("a key is revoked after so many calls, and for all calls after them", async () => {
    add({ kind: "key-revoked", after: 2 })
    const statuses = []
    for (let call = 0; call < 5; call++) statuses.push((await list()).status)
    expect(statuses).toEqual([200, 200, 401, 401, 401])
  })

  test("a replaced branch has another id and the same name and databases; the old id is gone", async () => {
    const before = await names()
    add({ kind: "branch-replaced" })
    expect((await get("neondb")).status).toBe(404)
    expect(world.neon.branchId).not.toBe(branchId)
    const { data } = await world.client.listProjectBranches({ projectId })
    expect(data.branches).toMatchObject([{ id: world.neon.branchId, name: "main", default: true }])
    expect(await names()).toEqual(before)
    add({ kind: "branch-replaced", branchId })
    expect((await list()).status).toBe(404)
    expect((await get("neondb")).status).toBe(200)
  })
})

describe("aim", () => {
  test("a fault lets calls through first, strikes its number of calls, and is spent", async () => {
    add({ kind: "unavailable", route: "reads", after: 1, times: 2 })
    const statuses = []
    for (let call = 0; call < 4; call++) statuses.push((await list()).status)
    expect(statuses).toEqual([200, 503, 503, 200])
    expect(world.neon.faults.list()).toEqual([])
  })

  test("a call meets the first fault that is due, and only that one", async () => {
    add({ kind: "unavailable", route: "any" })
    add({ kind: "rate-limited", route: "listProjectBranchDatabases" })
    expect([(await list()).status, (await list()).status, (await list()).status]).toEqual([503, 429, 200])
  })

  test("another process switches faults over HTTP, and is told what is wrong with one", async () => {
    const url = world.neon.url.replace("/api/v2", "/_faults")
    const headers = { authorization: `Bearer ${API_KEY}`, "content-type": "application/json" }
    const post = (body: unknown) => fetch(url, { method: "POST", headers, body: JSON.stringify(body) })
    expect(
      (await post([{ kind: "unavailable", route: "reads", times: 3 }, { kind: "ids-replaced" }])).status,
    ).toBe(201)
    expect((await list()).status).toBe(503)
    expect(await (await fetch(url, { headers })).json()).toMatchObject({
      faults: [
        { kind: "unavailable", left: 2 },
        { kind: "ids-replaced", route: "any", left: 1 },
      ],
    })
    expect((await fetch(url, { method: "DELETE", headers })).status).toBe(200)
    expect(world.neon.faults.list()).toEqual([])
    for (const [wrong, message] of [
      [{ kind: "gremlins" }, "kind must be one of locked, "],
      [{ kind: "locked", route: "nowhere" }, "route must be"],
      [{ kind: "locked", retryAfter: 1 }, 'locked has no field "retryAfter"'],
      [{ kind: "delay" }, 'delay needs the field "delayMs"'],
      [{ kind: "delay", delayMs: -1 }, "delayMs must be a whole number"],
      [{ kind: "locked", times: 0 }, "times must be at least 1"],
      [{ kind: "stale-list", route: "listProjects" }, "can only strike listProjectBranchDatabases"],
      ["locked", "must be a JSON object"],
    ] as const) {
      const answer = await post(wrong)
      expect(answer.status).toBe(400)
      expect(await answer.json()).toMatchObject({ message: expect.stringContaining(message) })
    }
    expect(world.neon.faults.list()).toEqual([])
  })
})
