/** The routes of the project around the databases: itself, its branch, its endpoint, its operations, its account. */
import { limitIn, ok, Refusal, type Handler } from "./answer.ts"
import { findRole, hasDatabase } from "./catalogue.ts"
import {
  presentBranch,
  presentEndpoint,
  presentOperation,
  presentOrganization,
  presentProject,
  presentProjectInList,
  presentUser,
} from "./present.ts"

/** Neon names a cursor after every page that is not empty, the last one too. */
export const listProjectsRoute: Handler = async ({ query }, { projects }) => {
  const limit = limitIn(query, 10, 400)
  const search = query.get("search") ?? ""
  const found = projects.filter(({ projectId }) => projectId.includes(search))
  // A cursor is the project that ended the page before.
  const start = 1 + found.findIndex(({ projectId }) => projectId === query.get("cursor"))
  const page = found.slice(start, start + limit)
  const last = page.at(-1)
  return ok({
    projects: page.map((project) => presentProjectInList(project)),
    ...(last ? { pagination: { cursor: last.projectId } } : {}),
    applications: {},
    integrations: {},
  })
}

export const listSharedProjectsRoute: Handler = async () => ok({ projects: [] })

export const getProjectRoute: Handler = async (_call, { cell }) => ok({ project: presentProject(cell) })

export const listBranchesRoute: Handler = async ({ query }, { cell }) => {
  limitIn(query, 100, 10_000)
  const search = query.get("search") ?? ""
  const branch = presentBranch(cell)
  const found = query.get("cursor") === null && [branch.name, branch.id].some((text) => text.includes(search))
  return ok({
    branches: found ? [branch] : [],
    annotations: {},
    pagination: {
      sort_by: query.get("sort_by") ?? "updated_at",
      sort_order: query.get("sort_order") ?? "desc",
    },
  })
}

export const getBranchRoute: Handler = async (_call, { cell }) =>
  ok({
    branch: presentBranch(cell),
    annotation: { object: { type: "console/branch", id: cell.branchId }, value: {} },
  })

export const listEndpointsRoute: Handler = async (_call, { cell }) =>
  ok({ endpoints: [presentEndpoint(cell)] })

export const getEndpointRoute: Handler = async (_call, { cell }) => ok({ endpoint: presentEndpoint(cell) })

export const listOperationsRoute: Handler = async ({ query }, { cell, operations }) => {
  const limit = limitIn(query, 1000, 1000)
  const cursor = query.get("cursor")
  if (cursor !== null && !/^\d{1,15}$/.test(cursor))
    throw new Refusal(400, "cursor is not one that a page gave")
  const rows = await operations.list({ before: cursor === null ? undefined : Number(cursor), limit })
  const last = rows.at(-1)
  return ok({
    operations: rows.map((row) => presentOperation(cell, row)),
    ...(last === undefined ? {} : { pagination: { cursor: String(last.seq) } }),
  })
}

export const getOperationRoute: Handler = async ({ params }, { cell, operations }) => {
  const row = await operations.get(params["operation_id"]!)
  if (row === undefined) throw new Refusal(404, "operation not found")
  return ok({ operation: presentOperation(cell, row) })
}

/**
 * The pooled URI is the same as the direct one: there is no pooler here. There is no TLS either, so the URI asks for
 * none.
 */
export const connectionUriRoute: Handler = async ({ query }, { cell, control }) => {
  const required = (key: string): string => {
    const value = query.get(key)
    if (!value) throw new Refusal(400, `query parameter ${key} is required`)
    if (value.includes("\0")) throw new Refusal(400, `query parameter ${key} holds a NUL, which no name does`)
    return value
  }
  const databaseName = required("database_name")
  const roleName = required("role_name")
  if ((query.get("branch_id") ?? cell.branchId) !== cell.branchId) throw new Refusal(404, "branch not found")
  if ((query.get("endpoint_id") ?? cell.endpointId) !== cell.endpointId) {
    throw new Refusal(404, "endpoint not found")
  }
  if (!(await hasDatabase(control.pool, databaseName))) throw new Refusal(404, "database not found")
  const role = await findRole(control.pool, roleName)
  if (role === undefined) throw new Refusal(404, "role not found")
  if (role.password === null) throw new Refusal(412, "the password of this role is not stored")
  const who = `${encodeURIComponent(roleName)}:${encodeURIComponent(role.password)}`
  return ok({
    uri: `postgresql://${who}@${cell.host}:${cell.port}/${encodeURIComponent(databaseName)}`,
  })
}

export const getUserRoute: Handler = async () => ok(presentUser())

export const listOrganizationsRoute: Handler = async (_call, { cell }) =>
  ok({ organizations: [presentOrganization(cell)] })
