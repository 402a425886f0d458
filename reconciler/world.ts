/** The systems that a pass looks at and changes, made from the configuration. */
import type { Config } from "./config.ts"
import { createFileMemory, type FileMemory } from "./desired.ts"
import { rememberDiff } from "./diff-memory.ts"
import type { diff } from "./plan.ts"
import { type Neon, openNeon } from "./providers/neon.ts"
import { createSemaphore, type Permit, type Semaphore } from "./providers/pacing.ts"
import { withDatabase } from "./providers/postgres.ts"
import { openVault, type Vault } from "./providers/vault.ts"
import type { Failures } from "./rollout.ts"

export type World = {
  neon: Neon
  vault: Vault
  /** Bounds the SQL work that goes on at once. */
  sql: Semaphore
  /** Milliseconds that running transactions get when a tenant's database is closed. */
  drain: number
  /** How this cell is named in the ledger. */
  cell: string
  /** What the last read made of the tenants' files. */
  files: FileMemory
  /** What must be done, by what the lists say; see diff-memory.ts. */
  sketch: typeof diff
  /** Databases named as ours whose markers were read and said otherwise, so that they wake nobody at each pass. */
  strangers: ReadonlySet<string>
  /** Tenants whose migration failed lately, so that they are tried again after a while and not at each pass. */
  failures: Failures
  /** Whether what is written now is written as the one who may. */
  permit: Permit
}

export function openWorld(config: Config): World {
  const permit: Permit = { signal: undefined }
  return {
    neon: openNeon(config.neon, permit),
    vault: openVault(config.vaultUrl, { writesPerSecond: config.vaultWritesPerSecond, permit }),
    sql: createSemaphore(config.sqlConcurrency, "sql"),
    drain: config.drain,
    cell: config.neon.projectId,
    files: createFileMemory(),
    sketch: rememberDiff(),
    strangers: new Set(),
    failures: new Map(),
    permit,
  }
}

/** Connection strings of the owner, for any database of the cell. */
export type OwnerUris = {
  /** `existing` is a database that surely exists; Neon wants one to answer. */
  direct: (existing: string, database?: string) => Promise<string>
  /** The host that the tenants' sessions use. */
  pooled: (existing: string, database?: string) => Promise<string>
}

/** Asks Neon at most once for each of the two hosts, and keeps the answers no longer than the caller keeps this. */
export function ownerUris({ neon }: World): OwnerUris {
  const memo = (pooled: boolean) => {
    let base: Promise<string> | undefined
    return async (existing: string, database = existing) => {
      base ??= neon.ownerUri(existing, pooled).catch((error: unknown) => {
        base = undefined
        throw error
      })
      return withDatabase(await base, database)
    }
  }
  return { direct: memo(false), pooled: memo(true) }
}

/** A database that every Postgres has, for work that belongs to no tenant's. */
export const MAINTENANCE_DATABASE = "postgres"
