import { chmodSync } from "node:fs"
import { openJournal } from "./journal.ts"
import { keyOf, type Deletion, type Secret, type Version } from "./secret.ts"

/** One change of the vault, as it is kept in the journal. */
type Change =
  | { kind: "secret"; secret: Secret }
  | { kind: "version"; name: string; version: Version }
  | { kind: "deleted"; name: string; deletion: Deletion }
  | { kind: "recovered"; name: string; recoveredAt: number }
  | { kind: "purged"; name: string }

/** Secrets as they stand, or as they stood: read only. */
export type View = {
  /** The secret of that name in any case, active or deleted. */
  find: (name: string) => Secret | undefined
  /** All keys, sorted. */
  keys(): readonly string[]
}

/** The secrets of a vault, in memory and in a journal. */
export type Store = View & {
  /** Writes the change to the journal and then to memory; throws, and changes nothing, when the disk refuses. */
  commit: (change: Change) => void
  /** Resolves when every change committed so far is on the disk. */
  settled(): Promise<void>
  /** The secrets as they stand now, whatever changes later. */
  snapshot(): View
  close(): Promise<void>
}

const garbageBeforeCompaction = 50_000

function withVersion(secret: Secret | undefined, name: string, version: Version): Secret {
  if (secret === undefined) return { name, versions: [version] }
  const known = secret.versions.some(({ id }) => id === version.id)
  const versions = known
    ? secret.versions.map((old) => (old.id === version.id ? version : old))
    : [...secret.versions, version]
  return { ...secret, versions }
}

function put(secrets: Map<string, Secret>, change: Change): void {
  const name = change.kind === "secret" ? change.secret.name : change.name
  const key = keyOf(name)
  const secret = secrets.get(key)
  switch (change.kind) {
    case "secret":
      secrets.set(key, change.secret)
      return
    case "version":
      secrets.set(key, withVersion(secret, name, change.version))
      return
    case "deleted":
      if (secret) secrets.set(key, { ...secret, deletion: change.deletion })
      return
    case "recovered":
      if (secret) secrets.set(key, { ...secret, deletion: undefined, recoveredAt: change.recoveredAt })
      return
    case "purged":
      secrets.delete(key)
  }
}

function viewOf(secrets: ReadonlyMap<string, Secret>): View {
  let sorted: string[] | undefined
  return {
    find: (name) => secrets.get(keyOf(name)),
    keys: () => (sorted ??= [...secrets.keys()].sort()),
  }
}

/**
 * Opens the secrets kept in `file`. The file is this vault's own journal, mode 0600, values in plain text: a vault for
 * development on one machine, never for production. Opening it drops a last line cut short by a crash and rewrites a
 * journal that holds more than the present state.
 */
export function openStore(file: string): Store {
  const { journal, entries, torn } = openJournal(file)
  chmodSync(file, 0o600)
  const secrets = new Map<string, Secret>()
  for (const entry of entries) put(secrets, entry as Change)

  function compact(): void {
    journal.replace([...secrets.values()].map((secret): Change => ({ kind: "secret", secret })))
  }
  if (torn || journal.lines() > secrets.size) compact()

  let view = viewOf(secrets)
  return {
    find: (name) => view.find(name),
    keys: () => view.keys(),
    commit(change) {
      journal.append(change)
      const before = secrets.size
      put(secrets, change)
      if (secrets.size !== before) view = viewOf(secrets)
      if (journal.lines() > secrets.size + garbageBeforeCompaction) compact()
    },
    settled: () => journal.settled(),
    snapshot: () => viewOf(new Map(secrets)),
    close: () => journal.close(),
  }
}
