/** Who is served: the vault's word on a tenant, as a credential or as the Problem that says why not. */
import { TerminalError, TransientError } from "../reconciler/errors.ts"
import type { Logger } from "../reconciler/log.ts"
import type { TenantId } from "../reconciler/tenant.ts"
import type { ActiveCredential } from "./connections.ts"
import type { CredentialCache } from "./credentials.ts"
import { forLog } from "./failures.ts"
import { Problem } from "./problems.ts"

/** Seconds, for the header Retry-After. */
export const RETRY_AFTER = 1

const REFUSALS: Record<"reserved" | "suspended" | "retired" | "absent", (tenant: TenantId) => Problem> = {
  reserved: (tenant) =>
    new Problem("tenant-reserved", `tenant ${tenant} is being made`, { retryAfter: RETRY_AFTER }),
  suspended: (tenant) => new Problem("tenant-suspended", `tenant ${tenant} is suspended`),
  retired: (tenant) => new Problem("tenant-retired", `tenant ${tenant} is retired`),
  absent: (tenant) => new Problem("tenant-not-found", `there is no tenant ${tenant}`),
}

/** Gives the credential of a tenant that is served; an answer older than `maxAge` milliseconds is read again. */
export const activeCredentials =
  (credentials: CredentialCache, log: Logger) =>
  async (tenant: TenantId, maxAge?: number): Promise<ActiveCredential> => {
    const credential = await credentials.read(tenant, maxAge).catch((error: unknown) => {
      if (error instanceof TerminalError)
        log.error({ tenant, error: forLog(error) }, "the vault refused to give a secret")
      else if (error instanceof TransientError)
        log.warn({ tenant, error: forLog(error) }, "the vault is out of reach")
      else throw error
      throw new Problem("vault-unavailable", "the tenant's credential cannot be read at the moment", {
        retryAfter: RETRY_AFTER,
        cause: error,
      })
    })
    if (credential?.state === "active") return credential
    throw REFUSALS[credential?.state ?? "absent"](tenant)
  }
