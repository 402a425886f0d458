/** From a request to the one tenant's database that its work is given: who asks, of whom, and how often. */
import type { Authenticate } from "./caller.ts"
import type { Databases } from "./databases.ts"
import { departureOf } from "./departure.ts"
import type { Directory } from "./directory.ts"
import { addHeader } from "./headers.ts"
import type { Admit } from "./perform.ts"
import { Problem } from "./problems.ts"
import type { RateLimit } from "./rate.ts"
import { prefixOf, type TenantSettings, whichTenant } from "./which-tenant.ts"

export type Tenancy = {
  tenants: TenantSettings
  directory: Directory
  authenticate: Authenticate
  callerRate: RateLimit
  tenantRate: RateLimit
  databases: Databases
}

/** Admits who may use the tenant that the request names. A path without a route costs no look-up. */
export function tenancy({
  tenants,
  directory,
  authenticate,
  callerRate,
  tenantRate,
  databases,
}: Tenancy): Admit {
  const varies = [...(tenants.sources.has("header") ? [tenants.header] : []), "Authorization"].join(", ")
  return async (request, response) => {
    // One path has a different answer per tenant and caller: no cache on the way may keep it.
    addHeader(response, "Cache-Control", "no-store")
    addHeader(response, "Vary", varies)
    const caller = await authenticate(request)
    callerRate(caller.name)
    const tenant = await whichTenant(request, tenants, directory)
    response.locals["tenant"] = tenant
    if (!caller.mayUse(tenant)) throw new Problem("tenant-forbidden", "the token is not for this tenant")
    tenantRate(tenant)
    const database = await databases.open(tenant, departureOf(response))
    response.locals["served"] = tenant
    return { database, caller: caller.name, prefix: prefixOf(request) }
  }
}
