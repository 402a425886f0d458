import { AUDIENCE, type Issuer } from "../local/issuer.ts"
import type { TokenSettings } from "../reconciler/providers/tokens.ts"

/** How tokens of a development issuer are read. */
export const tokenSettings = ({ url }: Pick<Issuer, "url">): TokenSettings => ({
  issuer: url,
  audience: AUDIENCE,
  algorithms: ["ES256"],
  tenantClaim: "tenants",
  adminScope: "tenants:admin",
  clockSkew: 5,
  keyInterval: 0,
})
