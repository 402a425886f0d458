/** The ledger: what the tags of a tenant's secret say. Tags never hold a credential: to list secrets is to read them. */
import { z } from "zod"
import { FleetId, secretName, Slot, TenantId } from "./tenant.ts"

const TenantState = z.enum(["reserved", "active", "retired"])

export type LedgerEntry = {
  id: TenantId
  fleet: FleetId
  name: string
  cell: string
  database: string
  state: z.infer<typeof TenantState>
  /** The schema's version, see migrations.ts; "none" before the first migration. */
  schema: string
  /** The login role that the secret's value names. */
  slot: Slot
  /** Set while a change that closes the database to sessions is under way; whoever finds it finishes the change. */
  transition?: "renaming" | undefined
  /** ISO 8601; set when state is retired. */
  retiredAt?: string | undefined
}

/** A secret that the vault lists: an entry of a ledger, or somebody else's (`entry` undefined). */
export type ObservedSecret = {
  name: string
  enabled: boolean
  entry: LedgerEntry | undefined
  /** Milliseconds since 1970. */
  changedAt: number
}

const Tags = z.object({
  "managed-by": z.literal("tenantry"),
  fleet: FleetId,
  tenant: z.string(),
  cell: z.string(),
  database: z.string(),
  state: TenantState,
  schema: z.string(),
  slot: Slot,
  transition: z.enum(["renaming"]).optional(),
  "retired-at": z.iso.datetime().optional(),
})

export const toTags = (entry: LedgerEntry): Record<string, string> => ({
  "managed-by": "tenantry",
  fleet: entry.fleet,
  tenant: entry.name,
  cell: entry.cell,
  database: entry.database,
  state: entry.state,
  schema: entry.schema,
  slot: entry.slot,
  ...(entry.transition ? { transition: entry.transition } : {}),
  ...(entry.retiredAt ? { "retired-at": entry.retiredAt } : {}),
})

/** The entry that a secret's name and tags make; undefined where they make none. */
export function fromTags(secret: string, tags: Record<string, string> | undefined): LedgerEntry | undefined {
  const id = TenantId.safeParse(secret.replace(/^tenant-/, ""))
  const parsed = Tags.safeParse(tags)
  if (!id.success || !parsed.success || secret.toLowerCase() !== secretName(id.data)) return undefined
  const { fleet, tenant, cell, database, state, schema, slot, transition } = parsed.data
  const retiredAt = parsed.data["retired-at"]
  return { id: id.data, fleet, name: tenant, cell, database, state, schema, slot, transition, retiredAt }
}
