/** Who the tenants are, by their names: what the tags of the vault's secrets say, without any secret's value. */
import { fromTags, isSettled, type LedgerEntry } from "../ledger.ts"
import { loginRole } from "../tenant.ts"
import { createVaultClient, guarded } from "./vault-client.ts"

export type ListedTenant = Pick<LedgerEntry, "id" | "name" | "state" | "schema" | "hosts"> & {
  isSettled: boolean
  where: { cell: string; database: string; login: string }
}

/**
 * Lists every tenant of the ledger, complete or not at all; needs the role Key Vault Secrets User. One call per 25
 * secrets. Throws TransientError where another try may help and TerminalError where a person must act.
 */
export function openTenantList(url: string): () => Promise<ListedTenant[]> {
  const client = createVaultClient(url)
  return () =>
    guarded("list the tenants", async (abortSignal) => {
      const tenants: ListedTenant[] = []
      for await (const page of client.listPropertiesOfSecrets({ abortSignal }).byPage({ maxPageSize: 25 })) {
        for (const { name: secret, tags } of page) {
          const entry = fromTags(secret, tags)
          if (!entry) continue
          const { id, name, state, schema, hosts, cell, database, slot } = entry
          const where = { cell, database, login: loginRole(id, slot) }
          tenants.push({ id, name, state, schema, hosts, isSettled: isSettled(entry), where })
        }
      }
      return tenants
    })
}
