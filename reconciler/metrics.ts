/** What all metrics share: one registry for the process, and whether they name tenants. */
import { collectDefaultMetrics, register } from "prom-client"
import type { TenantId } from "./tenant.ts"

let isByTenant = false

/** Starts the process's own metrics. `byTenant`: a label for each tenant, which makes as many series as there are tenants. */
export function startMetrics({ byTenant }: { byTenant: boolean }): void {
  isByTenant = byTenant
  collectDefaultMetrics()
}

/** The label that names a tenant; none unless that is switched on. */
export const tenantLabel = (tenant: TenantId | undefined): { tenant?: string } =>
  isByTenant && tenant !== undefined ? { tenant } : {}

/** Whether metrics name tenants. */
export const namesTenants = (): boolean => isByTenant

/** All series as Prometheus reads them, and the type of that text. */
export const renderMetrics = async (): Promise<{ type: string; text: string }> => ({
  type: register.contentType,
  text: await register.metrics(),
})

/** For work that takes from milliseconds to minutes; seconds. */
export const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180, 600]
