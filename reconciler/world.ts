/** The systems that a pass looks at and changes, made from the configuration. */
import type { Config } from "./config.ts"
import { createFileMemory, type FileMemory } from "./desired.ts"
import { rememberDiff } from "./diff-memory.ts"
import { TerminalError } from "./errors.ts"
import type { diff, Observed } from "./plan.ts"
import { type Cell, openCells } from "./providers/neon.ts"
import { createSemaphore, type Permit, type Semaphore } from "./providers/pacing.ts"
import { withDatabase } from "./providers/postgres.ts"
import { rememberScramKeys } from "./providers/scram.ts"
import { openVault, type Vault } from "./providers/vault.ts"
import type { Failures } from "./rollout.ts"

export type World = {
  /** As they are configured; the lease is in the first. */
  cells: readonly Cell[]
  /** Their names. */
  cellNames: readonly string[]
  vault: Vault
  /** Bounds the SQL work that goes on at once. */
  sql: Semaphore
  /** Milliseconds that running transactions get when a tenant's database is closed. */
  drain: number
  /** What the last read made of the tenants' files. */
  files: FileMemory
  /** What must be done, by what the lists say; see diff-memory.ts. */
  sketch: typeof diff
  /** Databases named as ours, as cell/name, whose markers were read and said otherwise, so that they wake nobody at each pass. */
  strangers: ReadonlySet<string>
  /** Tenants whose migration failed lately, so that they are tried again after a while and not at each pass. */
  failures: Failures
  /** Whether what is written now is written as the one who may. */
  permit: Permit
}

export function openWorld(config: Config): World {
  const permit: Permit = { signal: undefined }
  // Sessions are many, and of one owner.
  rememberScramKeys()
  return {
    cells: openCells(config.neon, permit),
    cellNames: config.neon.cells.map(({ projectId }) => projectId),
    vault: openVault(config.vaultUrl, { writesPerSecond: config.vaultWritesPerSecond, permit }),
    sql: createSemaphore(config.sqlConcurrency, "sql"),
    drain: config.drain,
    files: createFileMemory(),
    sketch: rememberDiff(),
    strangers: new Set(),
    failures: new Map(),
    permit,
  }
}

/** Throws TerminalError where no such cell is configured. */
export function cellNamed({ cells }: Pick<World, "cells">, name: string): Cell {
  const found = cells.find((cell) => cell.name === name)
  if (found) return found
  throw new TerminalError("CellUnknown", `there is no cell ${name}: NEON_CELLS names those that there are`)
}

/** A database that surely is in the cell; undefined where none is listed. */
export const existingIn = ({ databases }: Observed, cell: string): string | undefined =>
  databases.find((database) => database.cell === cell)?.name

/** Connection strings of the owner, for any database of a cell. */
export type OwnerUris = {
  /** `existing` is a database that surely exists; Neon wants one to answer. */
  direct: (existing: string, database?: string) => Promise<string>
  /** The host that the tenants' sessions use. */
  pooled: (existing: string, database?: string) => Promise<string>
}

/** Those of each cell, by its name; throws TerminalError where no such cell is configured. Kept no longer than the caller keeps this. */
export function ownerUris(world: Pick<World, "cells">): (cell: string) => OwnerUris {
  const uris = new Map<string, OwnerUris>()
  return (name) => {
    const known = uris.get(name) ?? urisOf(cellNamed(world, name))
    uris.set(name, known)
    return known
  }
}

/** Asks Neon at most once for each of the two hosts. */
function urisOf(cell: Cell): OwnerUris {
  const memo = (pooled: boolean) => {
    let base: Promise<string> | undefined
    return async (existing: string, database = existing) => {
      base ??= cell.ownerUri(existing, pooled).catch((error: unknown) => {
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
