/** How administrators see a tenant. */
import { z } from "zod"
import { databaseName, nameKey, type TenantId } from "../reconciler/tenant.ts"
import type { NamedTenant } from "./directory.ts"
import { digestTag } from "./etag.ts"
import type { TenantFile } from "./tenant-files.ts"

export const ShownTenant = z.strictObject({
  name: z.string(),
  id: z.guid(),
  state: z
    .string()
    .meta({ description: "declared (there is a file), reserved, active, suspended, retired or purging" }),
  schema: z.string().nullable(),
  hosts: z.array(z.string()).meta({ description: "Its own, by its file." }),
})
export type ShownTenant = z.infer<typeof ShownTenant>

/** The order of lists: by the name as people read it. */
export const inOrder = (a: Pick<ShownTenant, "name" | "id">, b: Pick<ShownTenant, "name" | "id">): number => {
  const [one, other] = [nameKey(a.name), nameKey(b.name)]
  if (one === other) return a.id < b.id ? -1 : Number(a.id > b.id)
  return one < other ? -1 : 1
}

/** Follows what is declared of it, whether by its file or as the ledger has it; not what the reconciler is doing. */
export const tagOf = ({ id, name, hosts = [] }: Declared): string => digestTag([id, name, hosts.toSorted()])
type Declared = Pick<ShownTenant, "id" | "name"> & { hosts?: readonly string[] | undefined }

/** What a change answers: whose it is, and the database that it has or will have. */
export const ChangedTenant = z.strictObject({ tenantId: z.guid(), databaseName: z.string() })

/** As the ledger has it. */
export const toShown = ({ id, name, state, schema, hosts = [] }: NamedTenant): ShownTenant => ({
  name,
  id,
  state,
  schema,
  hosts: [...hosts],
})

/** There is a file, and nothing else yet. */
export const toDeclared = ({ tenant: { id, name, hosts = [] } }: TenantFile): ShownTenant => ({
  name,
  id,
  state: "declared",
  schema: null,
  hosts,
})

export const toChanged = ({ id, name }: { id: TenantId; name: string }): z.infer<typeof ChangedTenant> => ({
  tenantId: id,
  databaseName: databaseName(name),
})
