/** The ledger: what the tags of a tenant's secret say. Tags never hold a credential: to list secrets is to read them. */
import { z } from "zod"
import { databaseName, FleetId, secretName, Slot, TenantId } from "./tenant.ts"

const TenantState = z.enum(["reserved", "active", "suspended", "retired", "purging"])
/**
 * A change under way that the lists alone would not show. renaming, suspending: the logins may be closed. rotating: a
 * new credential is wanted. draining: it is published, and the other login still has to be closed.
 */
const Transition = z.enum(["renaming", "suspending", "rotating", "draining"])
/** What a person may allow for one tenant, once. */
export const ApprovalVerb = z.enum(["retire", "purge", "recreate"])
export type ApprovalVerb = z.infer<typeof ApprovalVerb>
/** `until`: ISO 8601. */
type Approval = { verb: ApprovalVerb; until: string }

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
  /** Whoever finds it finishes the change. */
  transition?: z.infer<typeof Transition> | undefined
  /** ISO 8601; set when state is retired. */
  retiredAt?: string | undefined
  protected?: boolean | undefined
  /** Names in DNS; in alphabetical order where we wrote them. Whoever is retired keeps them for its return. */
  hosts?: readonly string[] | undefined
  approval?: Approval | undefined
}

/** Whether the tenant is out of service until somebody restores it, or for good. */
export const isRetired = ({ state }: { state: string }): boolean => state === "retired" || state === "purging"

/**
 * Whether the entry's name surely is its tenant's: while one gives a name up and another takes it, the ledger has it twice
 * for a moment.
 */
export const isSettled = ({ state, transition, name, database }: LedgerEntry): boolean =>
  (state === "active" || state === "suspended") &&
  transition !== "renaming" &&
  database === databaseName(name)

/**
 * A secret that the vault lists. `owner`: the fleet that its tags name, undefined where they name none. `entry`: what
 * they say, undefined where they are not whole. `changedAt`: milliseconds since 1970.
 */
export type ObservedSecret = {
  name: string
  enabled: boolean
  owner: FleetId | undefined
  entry: LedgerEntry | undefined
  /** True where the tags say so, be they whole or not. */
  isProtected?: boolean
  changedAt: number
  /** When its newest value was written, as far as the vault says; milliseconds since 1970. */
  issuedAt?: number | undefined
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
  transition: Transition.optional(),
  "retired-at": z.iso.datetime().optional(),
  protected: z.literal("true").optional(),
  hosts: z
    .string()
    .transform((text) => text.split(" ").filter((host) => host !== ""))
    .optional(),
  approval: z
    .string()
    .transform((text) => text.split(" "))
    .pipe(z.tuple([ApprovalVerb, z.iso.datetime()]))
    .optional(),
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
  ...(entry.protected ? { protected: "true" } : {}),
  ...(entry.hosts?.length ? { hosts: entry.hosts.join(" ") } : {}),
  ...(entry.approval ? { approval: `${entry.approval.verb} ${entry.approval.until}` } : {}),
})

/** Whose the tags say that the secret is; undefined where they do not say that Tenantry manages it. */
export const ownerOf = (tags: Record<string, string> | undefined): FleetId | undefined =>
  tags?.["managed-by"] === "tenantry" ? FleetId.safeParse(tags["fleet"]).data : undefined

/** The entry that a secret's name and tags make; undefined where they make none. */
export function fromTags(secret: string, tags: Record<string, string> | undefined): LedgerEntry | undefined {
  const id = TenantId.safeParse(secret.toLowerCase().replace(/^tenant-/, ""))
  const parsed = Tags.safeParse(tags)
  if (!id.success || !parsed.success || secret.toLowerCase() !== secretName(id.data)) return undefined
  const {
    "managed-by": _,
    tenant,
    "retired-at": retiredAt,
    approval,
    protected: isProtected,
    hosts,
    ...same
  } = parsed.data
  return {
    ...same,
    id: id.data,
    name: tenant,
    ...(retiredAt ? { retiredAt } : {}),
    ...(isProtected ? { protected: true } : {}),
    ...(hosts?.length ? { hosts } : {}),
    ...(approval ? { approval: { verb: approval[0], until: approval[1] } } : {}),
  }
}

/** The entries of this fleet's ledger, of all that the vault lists. */
export const entriesOf = (secrets: readonly ObservedSecret[], fleet: FleetId): LedgerEntry[] =>
  secrets.flatMap(({ entry }) => (entry?.fleet === fleet ? [entry] : []))
