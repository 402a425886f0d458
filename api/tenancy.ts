/** From a request to the one tenant's database that its work is given: who asks, of whom, and how often. */
import type { Response } from "express"
import type { Authenticate } from "./caller.ts"
import type { Databases } from "./databases.ts"
import type { Directory } from "./directory.ts"
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
    response.set("Cache-Control", "no-store").vary(varies)
    const caller = await authenticate(request)
    callerRate(caller.name)
    const tenant = await whichTenant(request, tenants, directory)
    response.locals["tenant"] = tenant
    if (!caller.mayUse(tenant)) throw new Problem("tenant-forbidden", "the token is not for this tenant")
    tenantRate(tenant)
    const database = await databases.open(tenant, untilGone(response))
    response.locals["served"] = tenant
    return { database, caller: caller.name, prefix: prefixOf(request) }
  }
}

/** Aborts when the client goes away before it has its answer. */
function untilGone(response: Response): AbortSignal {
  const controller = new AbortController()
  response.once("close", () => response.writableFinished || controller.abort())
  return controller.signal
}
