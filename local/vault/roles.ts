import { Problem } from "./problem.ts"
import type { Operation } from "./routes.ts"

/** The two built-in roles of Azure that the fleet uses, by their names in Azure. */
export type Role = "Key Vault Secrets User" | "Key Vault Secrets Officer"

const dataActions: Record<Operation, string> = {
  SecretSet: "setSecret/action",
  SecretGet: "getSecret/action",
  SecretUpdate: "update/action",
  SecretDelete: "delete",
  SecretList: "readMetadata/action",
  SecretListVersions: "readMetadata/action",
  SecretListDeleted: "readMetadata/action",
  SecretGetDeleted: "readMetadata/action",
  SecretRecover: "recover/action",
  SecretPurge: "purge/action",
  SecretBackup: "backup/action",
  SecretRestore: "restore/action",
}

const ofUser = new Set(["getSecret/action", "readMetadata/action"])

/** 403 ForbiddenByRbac, as the service answers a caller whose role lacks the action or has not arrived yet. */
export function forbidden(clientId: string, operation: Operation): Problem {
  const action = `Microsoft.KeyVault/vaults/secrets/${dataActions[operation]}`
  return new Problem(
    403,
    "Forbidden",
    `Caller is not authorized to perform action on resource.\nCaller: appid=${clientId}\nAction: '${action}'`,
    "ForbiddenByRbac",
  )
}

/** Throws 403 unless the role holds the data action of the operation. */
export function authorize(caller: { clientId: string; role: Role }, operation: Operation): void {
  if (caller.role === "Key Vault Secrets Officer" || ofUser.has(dataActions[operation])) return
  throw forbidden(caller.clientId, operation)
}
