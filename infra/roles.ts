/** Who may do what: one identity for each app, each with the least roles. */
import { RoleAssignment } from "@pulumi/azure-native/authorization/roleAssignment.js"
import { UserAssignedIdentity } from "@pulumi/azure-native/managedidentity/userAssignedIdentity.js"
import { type Input, interpolate } from "@pulumi/pulumi"
import type { Place } from "./place.ts"

/** Source: learn.microsoft.com/azure/role-based-access-control/built-in-roles */
const ROLES = {
  "Key Vault Secrets User": "4633458b-17de-408a-b874-0445c86b69e6",
  "Key Vault Secrets Officer": "b86a8fe4-44ce-4948-aee5-eccb2c155cd7",
  AcrPull: "7f951dda-4ed3-4680-a7ca-43fe172d538d",
} as const

const READS = ["getSecret/action"]
const LIFECYCLE = [
  "getSecret/action",
  "update/action",
  "delete",
  "backup/action",
  "recover/action",
  "purge/action",
]
const WRITES = ["setSecret/action", "restore/action"]

/** Source: learn.microsoft.com/azure/key-vault/general/rbac-abac. Lists stay free: they show no value. */
const clause = (actions: readonly string[], attribute: "@Resource" | "@Request") =>
  `((${actions.map((action) => `!(ActionMatches{'Microsoft.KeyVault/vaults/secrets/${action}'})`).join(" AND ")}) OR (${attribute}[Microsoft.KeyVault/vaults/secrets:name] StringStartsWith 'tenant-'))`

const CONDITIONS = {
  "Key Vault Secrets User": clause(READS, "@Resource"),
  "Key Vault Secrets Officer": `${clause(LIFECYCLE, "@Resource")} AND ${clause(WRITES, "@Request")}`,
}

export function createIdentity(place: Place, logicalName: string, name: string): UserAssignedIdentity {
  const { resourceGroupName, location, tags } = place
  return new UserAssignedIdentity(logicalName, { resourceGroupName, resourceName: name, location, tags })
}

/** Grants one role on one thing. `onTenants`: where the stack says so, only for secrets of tenants. */
export function grant(
  { settings, subscriptionId }: Place,
  logicalName: string,
  {
    to,
    role,
    scope,
    onTenants = false,
  }: { to: UserAssignedIdentity; role: keyof typeof ROLES; scope: Input<string>; onTenants?: boolean },
): RoleAssignment {
  const condition =
    onTenants && settings.conditionOnPrefix && role !== "AcrPull" ? CONDITIONS[role] : undefined
  return new RoleAssignment(logicalName, {
    scope,
    principalId: to.principalId,
    principalType: "ServicePrincipal",
    roleDefinitionId: interpolate`/subscriptions/${subscriptionId}/providers/Microsoft.Authorization/roleDefinitions/${ROLES[role]}`,
    ...(condition === undefined ? {} : { condition, conditionVersion: "2.0" }),
  })
}
