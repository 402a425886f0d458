/** The noun: what a tenant is, and every name that is derived from one. */
import { z } from "zod"
import { Hosts } from "./host-name.ts"

/** A lower-case UUID. It is for ever; everything else about a tenant may change. */
export const TenantId = z
  .string({ error: 'must be a UUID like "78b0c444-49aa-4308-b35f-9ff530b31920"; uuidgen makes one' })
  .regex(/^[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$/, {
    error: 'must be a UUID like "78b0c444-49aa-4308-b35f-9ff530b31920"',
  })
  .refine((text) => !/^(?:[0-]+|[fF-]+)$/.test(text), {
    error: "must be a UUID of its own, such as uuidgen makes",
  })
  .transform((text) => text.toLowerCase())
  .brand<"TenantId">()
export type TenantId = z.infer<typeof TenantId>

const DATABASE_PREFIX = "products-"
/** Postgres cuts identifiers at 63 bytes. */
const MAX_NAME_BYTES = 63 - DATABASE_PREFIX.length

/**
 * The name that people use. Letters and digits of any script, with `-` and `_` inside; it becomes a database
 * name and a part of URLs, so it has no space, dot or slash, and at most 54 bytes of UTF-8.
 */
export const TenantName = z
  .string({ error: "must be text; quote a name that YAML would read as a number, a date or a boolean" })
  .regex(/^[\p{L}\p{N}](?:[\p{L}\p{M}\p{N}_-]*[\p{L}\p{M}\p{N}])?$/u, {
    error: 'must be letters and digits, with "-" or "_" inside, such as "Shopify" or "north-wind"',
  })
  .refine((name) => new TextEncoder().encode(name).length <= MAX_NAME_BYTES, {
    error: `must be at most ${MAX_NAME_BYTES} bytes, so that the database's name fits Postgres's 63`,
  })
  .refine((name) => name === name.normalize("NFC"), { error: "must be in Unicode's composed form (NFC)" })

export type TenantName = z.infer<typeof TenantName>

/** How Neon's ids of projects and branches look. */
export const NEON_ID = /^[a-z0-9-]{1,60}$/

/** A cell is called by the id of its Neon project. */
export const CellName = z.string({ error: "must be the id of a Neon project" }).regex(NEON_ID, {
  error: "must be the id of a Neon project: lower-case letters, digits, hyphens",
})

/** What a file in tenants/ declares. Unknown keys are errors: a misspelt key must not be silence. */
export const Tenant = z.strictObject({
  id: TenantId,
  name: TenantName,
  /** Rows that a new tenant starts with: the name of a file in migrations/seeds/. Read once, at creation. */
  seed: z
    .string({ error: "must be the name of a file in migrations/seeds, without .sql" })
    .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, { error: "must be lower-case letters, digits and hyphens" })
    .optional(),
  /** True: kept as it is, and served to nobody. */
  suspended: z.boolean({ error: "must be true or false" }).optional(),
  /** True: its removal waits for a person. The ledger remembers it when the file is gone. */
  protected: z.boolean({ error: "must be true or false" }).optional(),
  /** Names in DNS of its own, at which the API serves it. */
  hosts: Hosts.optional(),
  /** The cell that a new tenant is made in; without it the one with the most room. Nobody is ever moved to another. */
  cell: CellName.optional(),
})
export type Tenant = z.infer<typeof Tenant>

/** Names that fold to the same key are one name to a person, whatever Postgres thinks. */
export const nameKey = (name: string): string => name.normalize("NFKC").toLowerCase()

export const isSameName = (one: string, other: string): boolean => nameKey(one) === nameKey(other)

export const databaseName = (name: string): string => `${DATABASE_PREFIX}${name}`
/** The name of the tenant whose database is called so; undefined where it is on a shelf, in transit or not ours. */
export const nameOfDatabase = (database: string): string | undefined =>
  database.startsWith(DATABASE_PREFIX) ? database.slice(DATABASE_PREFIX.length) : undefined
/** Where a retired tenant's database waits for its purge, so that its name is free for others. */
export const retiredDatabaseName = (id: TenantId): string => `retired-${id}`
/** Where a database waits while another tenant takes its name (a cycle of renames). */
export const transitDatabaseName = (id: TenantId): string => `renaming-${id}`
/** Whether a database is named as we name them; whose it is, only its marker says. */
export const isOurName = (database: string): boolean => /^(?:products|retired|renaming)-/.test(database)
export const secretName = (id: TenantId): string => `tenant-${id}`

/** The group role that holds the grants on the tenant's own database; the login roles inherit it. */
export const groupRole = (id: TenantId): string => `tenant_${id}`
/** A tenant has two login roles, so that a new credential is valid before the old one ends. */
export const Slot = z.enum(["a", "b"])
export type Slot = z.infer<typeof Slot>
export const loginRole = (id: TenantId, slot: Slot): string => `tenant_${id}_${slot}`
export const otherSlot = (slot: Slot): Slot => (slot === "a" ? "b" : "a")

/** A fleet's id: who owns a database or a secret. */
const FLEET_ID = "must be lower-case letters, digits and hyphens, at most 63"
export const FleetId = z
  .string({ error: FLEET_ID })
  .regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, { error: FLEET_ID })
export type FleetId = z.infer<typeof FleetId>

/** The ownership note on a database: a comment that survives a rename and the loss of the vault. */
export type Marker = { fleet: FleetId; tenant: TenantId }

export const formatMarker = (marker: Marker): string =>
  `tenantry/1 fleet=${marker.fleet} tenant=${marker.tenant}`

/** Reads a database's comment; undefined where it is not one of ours. */
export function parseMarker(comment: string | null): Marker | undefined {
  const match = /^tenantry\/1 fleet=([a-z0-9-]{1,63}) tenant=([0-9a-f-]{36})$/.exec(comment ?? "")
  const tenant = TenantId.safeParse(match?.[2])
  return match?.[1] && tenant.success ? { fleet: match[1], tenant: tenant.data } : undefined
}
