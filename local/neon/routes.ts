/** The routes that the stand-in speaks, named as in Neon's OpenAPI description; any other is answered 501. */
import type { Handler } from "./answer.ts"
import {
  createDatabaseRoute,
  deleteDatabaseRoute,
  getDatabaseRoute,
  listDatabasesRoute,
  updateDatabaseRoute,
} from "./databases.ts"
import {
  connectionUriRoute,
  getBranchRoute,
  getEndpointRoute,
  getOperationRoute,
  getProjectRoute,
  getUserRoute,
  listBranchesRoute,
  listEndpointsRoute,
  listOperationsRoute,
  listOrganizationsRoute,
  listProjectsRoute,
  listSharedProjectsRoute,
} from "./project.ts"
import {
  createRoleRoute,
  deleteRoleRoute,
  getRoleRoute,
  listRolesRoute,
  resetPasswordRoute,
  revealPasswordRoute,
} from "./roles.ts"

export type Route = { method: "GET" | "POST" | "PATCH" | "DELETE"; path: string; handle: Handler }

const branch = "/projects/{project_id}/branches/{branch_id}"

export const ROUTES = {
  getCurrentUserInfo: { method: "GET", path: "/users/me", handle: getUserRoute },
  getCurrentUserOrganizations: {
    method: "GET",
    path: "/users/me/organizations",
    handle: listOrganizationsRoute,
  },
  listProjects: { method: "GET", path: "/projects", handle: listProjectsRoute },
  listSharedProjects: { method: "GET", path: "/projects/shared", handle: listSharedProjectsRoute },
  getProject: { method: "GET", path: "/projects/{project_id}", handle: getProjectRoute },
  getConnectionURI: {
    method: "GET",
    path: "/projects/{project_id}/connection_uri",
    handle: connectionUriRoute,
  },
  listProjectOperations: {
    method: "GET",
    path: "/projects/{project_id}/operations",
    handle: listOperationsRoute,
  },
  getProjectOperation: {
    method: "GET",
    path: "/projects/{project_id}/operations/{operation_id}",
    handle: getOperationRoute,
  },
  listProjectEndpoints: {
    method: "GET",
    path: "/projects/{project_id}/endpoints",
    handle: listEndpointsRoute,
  },
  getProjectEndpoint: {
    method: "GET",
    path: "/projects/{project_id}/endpoints/{endpoint_id}",
    handle: getEndpointRoute,
  },
  listProjectBranches: { method: "GET", path: "/projects/{project_id}/branches", handle: listBranchesRoute },
  getProjectBranch: { method: "GET", path: branch, handle: getBranchRoute },
  listProjectBranchEndpoints: { method: "GET", path: `${branch}/endpoints`, handle: listEndpointsRoute },
  listProjectBranchDatabases: { method: "GET", path: `${branch}/databases`, handle: listDatabasesRoute },
  createProjectBranchDatabase: { method: "POST", path: `${branch}/databases`, handle: createDatabaseRoute },
  getProjectBranchDatabase: {
    method: "GET",
    path: `${branch}/databases/{database_name}`,
    handle: getDatabaseRoute,
  },
  updateProjectBranchDatabase: {
    method: "PATCH",
    path: `${branch}/databases/{database_name}`,
    handle: updateDatabaseRoute,
  },
  deleteProjectBranchDatabase: {
    method: "DELETE",
    path: `${branch}/databases/{database_name}`,
    handle: deleteDatabaseRoute,
  },
  listProjectBranchRoles: { method: "GET", path: `${branch}/roles`, handle: listRolesRoute },
  createProjectBranchRole: { method: "POST", path: `${branch}/roles`, handle: createRoleRoute },
  getProjectBranchRole: { method: "GET", path: `${branch}/roles/{role_name}`, handle: getRoleRoute },
  deleteProjectBranchRole: { method: "DELETE", path: `${branch}/roles/{role_name}`, handle: deleteRoleRoute },
  getProjectBranchRolePassword: {
    method: "GET",
    path: `${branch}/roles/{role_name}/reveal_password`,
    handle: revealPasswordRoute,
  },
  resetProjectBranchRolePassword: {
    method: "POST",
    path: `${branch}/roles/{role_name}/reset_password`,
    handle: resetPasswordRoute,
  },
} satisfies Record<string, Route>

export type RouteName = keyof typeof ROUTES

export const ROUTE_NAMES = Object.keys(ROUTES) as RouteName[]

/** Finds the route of a call, with the decoded parameters of its path; a name like "shared" wins over a parameter. */
export function findRoute(
  method: string,
  path: string,
): { name: RouteName; params: Record<string, string> } | undefined {
  const segments = path.replace(/\/$/, "").split("/")
  for (const name of ROUTE_NAMES) {
    const route: Route = ROUTES[name]
    if (route.method !== method) continue
    const params = matchSegments(route.path.split("/"), segments)
    if (params !== undefined) return { name, params }
  }
  return undefined
}

function matchSegments(pattern: string[], segments: string[]): Record<string, string> | undefined {
  if (pattern.length !== segments.length) return undefined
  const params: Record<string, string> = {}
  for (const [index, expected] of pattern.entries()) {
    const segment = segments[index]!
    if (expected.startsWith("{")) params[expected.slice(1, -1)] = decodeURIComponent(segment)
    else if (expected !== segment) return undefined
  }
  return params
}
