/** The vocabulary of plans. Each action is one write to one system, with all that it needs to know. */
import type { ApprovalVerb, LedgerEntry } from "./ledger.ts"
import type { Slot, TenantId } from "./tenant.ts"

export type Action =
  /** Vault: a disabled secret that announces what is about to be made. */
  | { kind: "reserve"; entry: LedgerEntry }
  /** Neon. */
  | { kind: "create"; database: string }
  /** SQL: marker, roles, grants. */
  | { kind: "secure"; database: string }
  /** SQL. */
  | { kind: "migrate"; database: string }
  /** SQL. */
  | { kind: "seed"; database: string; seed: string }
  /** SQL: a new password for one login role; `exclusive`: and no login by the other. */
  | { kind: "credential"; database: string; slot: Slot; exclusive: boolean }
  /** Vault: the credential just made, and tags. */
  | { kind: "publish"; entry: LedgerEntry; database: string }
  /** Vault: tags; the secret can be read while the entry's state is active, and only then. */
  | { kind: "record"; entry: LedgerEntry }
  /** Vault: tags, and nothing else; whether the secret can be read stays as it is. */
  | { kind: "annotate"; entry: LedgerEntry }
  /** SQL: no login, and no session of anybody left on the database. */
  | { kind: "close"; database: string }
  /** SQL: no login by this role, and no session of it left. */
  | { kind: "close-login"; database: string; slot: Slot }
  /** Neon. */
  | { kind: "rename"; from: string; to: string }
  /** Neon, for ever. */
  | { kind: "drop"; database: string }
  /** SQL: the roles and their rights; `database` is the tenant's, while it has one. */
  | { kind: "drop-roles"; database: string | undefined }
  /** Vault: soft delete. */
  | { kind: "forget" }

export type ChangeKind =
  | "create"
  | "rename"
  | "migrate"
  | "update"
  | "repair"
  | "rotate"
  | "suspend"
  | "resume"
  | "restore"
  | "retire"
  | "purge"

/** All that is to be done for one tenant, in order. */
export type Change = {
  kind: ChangeKind
  tenant: TenantId
  name: string
  /** The tenant's: each action on Neon and by SQL is in this one. */
  cell: string
  actions: readonly Action[]
  /** A person allowed this change by name. */
  isApproved?: boolean
  /** The ledger says that removing this tenant needs a person. */
  isProtected?: boolean
  /** What to do instead where this may not be done now: its name is not to be had, or a policy withholds it. */
  otherwise?: Change
}

/** A tenant that only a person can help. `reason` is a condition's reason; `approve` is what `tenantry approve` takes. */
export type Stall = {
  tenant: TenantId
  name: string
  reason: string
  message: string
  approve?: ApprovalVerb
}

/**
 * A change that waits: for a person, or where `isStalled` is false for its turn. `approve` is what `tenantry approve`
 * takes, where an approval can help.
 */
export type Withheld = {
  change: Change
  reason: string
  message: string
  approve?: ApprovalVerb
  isStalled?: boolean
}

/** The database name that must be free before the action, see names.ts. */
export const claimedBy = (action: Action): string | undefined => {
  if (action.kind === "create") return action.database
  return action.kind === "rename" ? action.to : undefined
}

/** The database name that is free after the action. */
export const vacatedBy = (action: Action): string | undefined => {
  if (action.kind === "drop") return action.database
  return action.kind === "rename" ? action.from : undefined
}
