import type { Operation } from "@neondatabase/api-client"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { ROUTES } from "../../local/neon/routes.ts"
import { checked } from "./neon-openapi.ts"
import { ended, neonClient, quiet, sql, startWorld, API_KEY, type NeonWorld } from "./neon-world.ts"

let world: NeonWorld
let projectId: string
let branchId: string

beforeAll(async () => {
  world = await startWorld({ operationMs: 0 })
  ;({ projectId, branchId } = world.neon)
}, 120_000)
afterAll(() => world.stop(), 30_000)

const call = (path: string, init: RequestInit = {}) =>
  fetch(world.neon.url + path, {
    redirect: "manual",
    ...init,
    headers: { authorization: `Bearer ${API_KEY}`, ...(init.headers as Record<string, string>) },
  })

describe("what surrounds the databases", () => {
  test("the account, its organization, its project, branch and endpoint lead to one another", async () => {
    const { client } = world
    const user = await client.getCurrentUserInfo()
    expect(user.status).toBe(200)
    const { data: organizations } = await client.getCurrentUserOrganizations()
    const orgId = organizations.organizations[0]!.id
    const { data: projects } = await client.listProjects({ org_id: orgId })
    expect(projects.projects.map(({ id }) => id)).toEqual([projectId])
    expect((await client.listSharedProjects({})).data.projects).toEqual([])
    expect((await client.getProject(projectId)).data.project.pg_version).toBe(18)
    const { data: branches } = await client.listProjectBranches({ projectId })
    expect(branches.branches).toMatchObject([
      { id: branchId, name: "main", default: true, current_state: "ready" },
    ])
    expect((await client.getProjectBranch(projectId, branchId)).data.branch.id).toBe(branchId)
    const { data: endpoints } = await client.listProjectBranchEndpoints(projectId, branchId)
    expect((await client.listProjectEndpoints(projectId)).data).toEqual(endpoints)
    const endpoint = endpoints.endpoints[0]!
    expect(endpoint.host).toBe(`127.0.0.1:${world.postgres.port}`)
    expect((await client.getProjectEndpoint(projectId, endpoint.id)).data.endpoint).toEqual(endpoint)
  })

  test("the page after the last project is empty and has no cursor", async () => {
    const { data: first } = await world.client.listProjects({ limit: 10 })
    const { data: second } = await world.client.listProjects({ limit: 10, cursor: first.pagination!.cursor })
    expect(second.projects).toEqual([])
    expect(second.pagination).toBeUndefined()
  })

  test("operations are listed newest first, page by page, each once", async () => {
    for (const name of ["page-1", "page-2", "page-3"]) {
      await world.client.createProjectBranchDatabase(projectId, branchId, {
        database: { name, owner_name: world.neon.owner },
      })
      await quiet(world.client, projectId)
    }
    const { data: all } = await world.client.listProjectOperations({ projectId })
    const seen: string[] = []
    let cursor: string | undefined
    for (;;) {
      const { data } = await world.client.listProjectOperations({
        projectId,
        limit: 4,
        ...(cursor && { cursor }),
      })
      if (data.operations.length === 0) break
      seen.push(...data.operations.map(({ id }) => id))
      cursor = data.pagination?.cursor
    }
    expect(seen).toHaveLength(6)
    expect(seen).toEqual(all.operations.map(({ id }) => id))
    const times = all.operations.map(({ created_at: at }) => at)
    expect(times).toEqual(times.toSorted().toReversed())
  })

  test("the connection URI works as it is, pooled or not", async () => {
    for (const pooled of [true, false]) {
      const { data } = await world.client.getConnectionUri({
        projectId,
        branch_id: branchId,
        database_name: "neondb",
        role_name: world.neon.owner,
        pooled,
      })
      expect(await sql(data.uri, "select current_user as me")).toEqual([{ me: world.neon.owner }])
    }
  })

  test("what is not there is answered 404", async () => {
    const { client } = world
    const uri = { projectId, database_name: "neondb", role_name: world.neon.owner }
    const answers = [
      await client.getProject("another-project"),
      await client.listProjectBranchDatabases("another-project", branchId),
      await client.listProjectBranchDatabases(projectId, "br-another"),
      await client.getProjectBranch(projectId, "br-another"),
      await client.getProjectEndpoint(projectId, "ep-another"),
      await client.getProjectBranchDatabase(projectId, branchId, "missing"),
      await client.getProjectBranchRole(projectId, branchId, "missing"),
      await client.getProjectBranchRolePassword(projectId, branchId, "missing"),
      await client.getProjectOperation(projectId, "00000000-0000-4000-8000-000000000000"),
      await client.getConnectionUri({ ...uri, database_name: "missing" }),
      await client.getConnectionUri({ ...uri, role_name: "missing" }),
      await client.getConnectionUri({ ...uri, branch_id: "br-another" }),
      await client.getConnectionUri({ ...uri, endpoint_id: "ep-another" }),
    ]
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 404))
  })
})

describe("Neon's description", () => {
  test("every route that is served was seen to answer as described", async () => {
    const { client } = world
    const wait = (answer: { data: { operations: Operation[] } }) =>
      ended(client, projectId, answer.data.operations)
    const database = { name: "described", owner_name: world.neon.owner }
    await wait(await client.createProjectBranchDatabase(projectId, branchId, { database }))
    await client.getProjectBranchDatabase(projectId, branchId, "described")
    await wait(
      await client.updateProjectBranchDatabase(projectId, branchId, "described", {
        database: { name: "renamed" },
      }),
    )
    await wait(await client.deleteProjectBranchDatabase(projectId, branchId, "renamed"))
    await client.listProjectBranchDatabases(projectId, branchId)
    await wait(await client.createProjectBranchRole(projectId, branchId, { role: { name: "described" } }))
    await client.getProjectBranchRole(projectId, branchId, "described")
    await client.getProjectBranchRolePassword(projectId, branchId, "described")
    await wait(await client.resetProjectBranchRolePassword(projectId, branchId, "described"))
    await wait(await client.deleteProjectBranchRole(projectId, branchId, "described"))
    await client.listProjectBranchRoles(projectId, branchId)
    const served = Object.values(ROUTES).map(({ method, path }) => `${method} ${path}`)
    const seen = new Set(
      [...checked].filter((key) => / 2\d\d$/.test(key)).map((key) => key.replace(/ \d+$/, "")),
    )
    expect(served.filter((route) => !seen.has(route))).toEqual([])
  })
})

describe("HTTP", () => {
  test("without the right key every call is refused with 401, the faults too", async () => {
    expect((await neonClient(world.neon.url, "another-key").listProjects({})).status).toBe(401)
    const bare = await fetch(`${world.neon.url}/projects`)
    expect([bare.status, await bare.json()]).toEqual([
      401,
      {
        request_id: expect.any(String),
        code: "",
        message: "supplied credentials do not pass authentication",
      },
    ])
    const posted = await fetch(`${world.neon.url}/projects`, { method: "POST", body: "x".repeat(100_000) })
    expect(posted.status).toBe(401)
    expect((await fetch(world.neon.url.replace("/api/v2", "/_faults"))).status).toBe(401)
  })

  test("the caller's X-Request-ID comes back in the error", async () => {
    const answer = await call("/projects/other", { headers: { "x-request-id": "trace-7" } })
    expect(await answer.json()).toMatchObject({ request_id: "trace-7" })
  })

  test("a route that is not implemented is answered 501 and named", async () => {
    const answer = await call(`/projects/${projectId}/branches/${branchId}`, { method: "DELETE" })
    expect(answer.status).toBe(501)
    expect((await answer.json()) as object).toMatchObject({
      message: expect.stringContaining("DELETE /api/v2/projects"),
    })
  })

  test("an empty path segment is redirected with 307", async () => {
    const answer = await call(`/projects/${projectId}//branches?limit=1`)
    expect(answer.status).toBe(307)
    expect(answer.headers.get("location")).toBe(`/api/v2/projects/${projectId}/branches?limit=1`)
  })

  test("an empty database name hits the list, as it does at Neon", async () => {
    const { data } = await world.client.getProjectBranchDatabase(projectId, branchId, "")
    expect(data).toHaveProperty("databases")
  })

  test("a body that is not JSON, or not the object asked for, is refused with 400", async () => {
    const post = async (body: string) =>
      (await call(`/projects/${projectId}/branches/${branchId}/databases`, { method: "POST", body })).status
    expect(await post("{not json")).toBe(400)
    expect(await post("[]")).toBe(400)
    expect(await post('{"database":{"name":7,"owner_name":"x"}}')).toBe(400)
    expect(await post("")).toBe(400)
  })

  test("a path that is badly encoded, and a page size out of range, are refused with 400", async () => {
    expect((await call(`/projects/${projectId}/branches/${branchId}/databases/%zz`)).status).toBe(400)
    expect((await world.client.listProjects({ limit: 401 })).status).toBe(400)
    expect((await world.client.listProjectOperations({ projectId, cursor: "nonsense" })).status).toBe(400)
  })

  test("the calls are logged until they are reset", async () => {
    world.neon.resetCalls()
    await world.client.listProjectBranchDatabases(projectId, branchId)
    await world.client.getProjectBranch(projectId, "br-another")
    expect(world.neon.calls()).toEqual([
      { method: "GET", route: "listProjectBranchDatabases", status: 200 },
      { method: "GET", route: "getProjectBranch", status: 404 },
    ])
    world.neon.resetCalls()
    expect(world.neon.calls()).toEqual([])
  })
})
