/** One credential for all tenants, in the vault's place: isolation then rests on the marker alone, not on Postgres. */
import { TransientError } from "../reconciler/errors.ts"
import type { CredentialReader } from "../reconciler/providers/vault.ts"
import { databaseName } from "../reconciler/tenant.ts"
import type { NamedTenant } from "./directory.ts"
import { readTenantFiles, type TenantFile } from "./tenant-files.ts"

export type TemplateSettings = { template: string; fleet: string; folder: string }

/**
 * Credentials and names by the tenants folder, which `reach` only reads. All throw TransientError where it cannot be
 * read.
 */
export function openTemplate({ template, fleet, folder }: TemplateSettings): {
  readCredential: CredentialReader
  listTenants: () => Promise<NamedTenant[]>
  reach: (signal: AbortSignal) => Promise<unknown>
} {
  let reading: Promise<TenantFile[]> | undefined
  /** Those who ask while the folder is read share that: it may hold thousands of files. */
  const read = (): Promise<TenantFile[]> =>
    (reading ??= readTenantFiles(folder)
      .catch((error: Error) => {
        throw new TransientError("TenantsUnreadable", error.message)
      })
      .finally(() => (reading = undefined)))
  return {
    async readCredential(id) {
      const tenant = (await read()).find((one) => one.tenant.id === id)?.tenant
      if (!tenant) return undefined
      if (tenant.suspended) return { state: "suspended" }
      const uri = template.replace("{database}", () => encodeURIComponent(databaseName(tenant.name)))
      return { state: "active", uri, fleet }
    },
    reach: read,
    async listTenants() {
      return (await read()).map(({ tenant: { id, name, suspended, hosts } }) => ({
        id,
        name,
        hosts,
        state: suspended ? "suspended" : "active",
        schema: "unknown",
        isSettled: true,
      }))
    },
  }
}
