/** The shapes of the API's answers, as Neon's OpenAPI description gives them. */
import type { DatabaseRow, RoleRow } from "./catalogue.ts"
import type { Cell } from "./cell.ts"
import type { OperationRow } from "./run-change.ts"

const REGION = "local-1"
const ORGANIZATION = "org-tenantry-local"
const ACCOUNT = "00000000-0000-4000-8000-000000000001"
const COMPUTE_UNITS = { autoscaling_limit_min_cu: 0.25, autoscaling_limit_max_cu: 1 }

export const presentDatabase = (cell: Cell, row: DatabaseRow) => ({
  id: row.id,
  branch_id: cell.branchId,
  name: row.name,
  owner_name: row.owner,
  created_at: row.createdAt.toISOString(),
  updated_at: row.updatedAt.toISOString(),
})

/** A list never carries passwords; only the answers to "create" and "reset" do. */
export const presentRole = (cell: Cell, row: RoleRow, password?: string) => ({
  branch_id: cell.branchId,
  name: row.name,
  ...(password === undefined ? {} : { password }),
  protected: false,
  created_at: row.createdAt.toISOString(),
  updated_at: row.updatedAt.toISOString(),
})

export const presentOperation = (cell: Cell, row: OperationRow) => ({
  id: row.id,
  project_id: cell.projectId,
  branch_id: cell.branchId,
  endpoint_id: cell.endpointId,
  action: row.action,
  status: row.status,
  ...(row.error === null ? {} : { error: row.error }),
  failures_count: row.failuresCount,
  ...(row.retryAt === null ? {} : { retry_at: row.retryAt.toISOString() }),
  created_at: row.createdAt.toISOString(),
  updated_at: row.updatedAt.toISOString(),
  total_duration_ms: Math.max(0, row.updatedAt.getTime() - row.createdAt.getTime()),
})

const projectBase = (cell: Cell) => ({
  id: cell.projectId,
  name: cell.projectId,
  platform_id: "local",
  region_id: REGION,
  provisioner: "k8s-neonvm",
  default_endpoint_settings: { ...COMPUTE_UNITS, suspend_timeout_seconds: 300 },
  pg_version: 18,
  proxy_host: cell.host,
  branch_logical_size_limit: 0,
  branch_logical_size_limit_bytes: 0,
  store_passwords: true,
  cpu_used_sec: 0,
  creation_source: "console",
  history_retention_seconds: 0,
  created_at: cell.createdAt.toISOString(),
  updated_at: cell.createdAt.toISOString(),
  owner_id: ORGANIZATION,
  org_id: ORGANIZATION,
})

export const presentProjectInList = (cell: Cell) => ({ ...projectBase(cell), active_time: 0 })

export const presentProject = (cell: Cell) => ({
  ...projectBase(cell),
  data_storage_bytes_hour: 0,
  data_transfer_bytes: 0,
  written_data_bytes: 0,
  compute_time_seconds: 0,
  active_time_seconds: 0,
  consumption_period_start: cell.createdAt.toISOString(),
  consumption_period_end: "0001-01-01T00:00:00Z",
})

export const presentBranch = (cell: Cell) => ({
  id: cell.branchId,
  project_id: cell.projectId,
  name: "main",
  current_state: "ready",
  state_changed_at: cell.branchChangedAt.toISOString(),
  creation_source: "console",
  primary: true,
  default: true,
  protected: false,
  cpu_used_sec: 0,
  compute_time_seconds: 0,
  active_time_seconds: 0,
  written_data_bytes: 0,
  data_transfer_bytes: 0,
  created_at: cell.createdAt.toISOString(),
  updated_at: cell.branchChangedAt.toISOString(),
})

/** The host carries the port, which Neon's never does, because tools put it into a URI as it is. */
export const presentEndpoint = (cell: Cell) => ({
  id: cell.endpointId,
  host: `${cell.host}:${cell.port}`,
  project_id: cell.projectId,
  branch_id: cell.branchId,
  ...COMPUTE_UNITS,
  region_id: REGION,
  type: "read_write",
  current_state: "active",
  settings: { pg_settings: {} },
  pooler_enabled: false,
  pooler_mode: "transaction",
  disabled: false,
  passwordless_access: true,
  creation_source: "console",
  created_at: cell.createdAt.toISOString(),
  updated_at: cell.createdAt.toISOString(),
  proxy_host: cell.host,
  suspend_timeout_seconds: 300,
  provisioner: "k8s-neonvm",
})

export const presentUser = () => ({
  id: ACCOUNT,
  active_seconds_limit: 0,
  auth_accounts: [],
  email: "tenantry@localhost.localdomain",
  login: "tenantry",
  name: "Tenantry",
  last_name: "",
  image: "",
  projects_limit: 1,
  branches_limit: 1,
  max_autoscaling_limit: COMPUTE_UNITS.autoscaling_limit_max_cu,
  plan: "free",
})

export const presentOrganization = (cell: Cell) => ({
  id: ORGANIZATION,
  name: "Tenantry",
  handle: "tenantry",
  plan: "free",
  created_at: cell.createdAt.toISOString(),
  updated_at: cell.createdAt.toISOString(),
  managed_by: "console",
})
