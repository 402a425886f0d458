/** From the request's tenant header to that tenant's database, which the operation's work is given by hand. */
import type { Request } from "express"
import { TenantId } from "../reconciler/tenant.ts"
import type { Databases } from "./databases.ts"
import type { Admit } from "./perform.ts"
import { Problem } from "./problems.ts"

/** Admits requests whose tenant is named by `header`. A path without a route costs no look-up. */
export function tenancy({ header, databases }: { header: string; databases: Databases }): Admit {
  return async (request, response) => {
    const tenant = tenantOf(request, header)
    response.locals["tenant"] = tenant
    // One path has a different answer per tenant: no cache on the way may keep it.
    response.set("Cache-Control", "no-store").vary(header)
    return { database: await databases.open(tenant), caller: "", prefix: "" }
  }
}

function tenantOf(request: Request, header: string): TenantId {
  const values = request.headersDistinct[header.toLowerCase()] ?? []
  const [value, ...others] = values
  if (value === undefined) throw new Problem("tenant-missing", `the header ${header} is missing`)
  if (others.length > 0) {
    throw new Problem("tenant-repeated", `the header ${header} was sent ${values.length} times`)
  }
  const tenant = TenantId.safeParse(value)
  if (!tenant.success) {
    throw new Problem("tenant-malformed", `the header ${header} is not a UUID`)
  }
  return tenant.data
}
