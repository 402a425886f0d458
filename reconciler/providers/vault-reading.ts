/** What listed secrets mean: worked out once, and again where one has changed since. */
import type { SecretProperties } from "@azure/keyvault-secrets"
import { fromTags, type ObservedSecret, ownerOf } from "../ledger.ts"
import { sameList } from "../same.ts"

type Tags = SecretProperties["tags"]

/** What of a secret's meaning is not in its tags. */
const plain = ({ name, enabled, createdOn, updatedOn }: SecretProperties) => ({
  name,
  enabled: enabled ?? true,
  changedAt: updatedOn?.getTime() ?? 0,
  issuedAt: createdOn?.getTime(),
})

/** What a secret's properties mean. */
export const toSecret = (properties: SecretProperties): ObservedSecret => {
  const { name, tags } = properties
  return {
    ...plain(properties),
    owner: ownerOf(tags),
    entry: fromTags(name, tags),
    isProtected: tags?.["protected"] === "true",
  }
}

/** A secret as it was read, and the tags that it was read from. */
type Read = { tags: Tags; secret: ObservedSecret }

/**
 * Of one list: `add` gives what `toSecret` does; `keep`, once the list is complete, has the next one compared with it, and
 * returns its secrets: the same value as the last time where they are the same.
 */
export type Reading = {
  add: (properties: SecretProperties) => ObservedSecret
  keep: () => readonly ObservedSecret[]
}

/** Begins to read a list; nothing is known before the first one was kept. Lists in one order are read quickest. */
export function createReader(): () => Reading {
  let last: readonly Read[] = []
  let secrets: readonly ObservedSecret[] = []
  return () => {
    const known = last
    const list: Read[] = []
    let byName: ReadonlyMap<string, Read> | undefined

    function knownAs(name: string): Read | undefined {
      const next = known[list.length]
      if (next?.secret.name === name) return next
      byName ??= new Map(known.map((read) => [read.secret.name, read]))
      return byName.get(name)
    }

    return {
      add(properties) {
        const { name, tags } = properties
        const before = knownAs(name)
        const read = before && isSame(before, properties) ? before : { tags, secret: toSecret(properties) }
        list.push(read)
        return read.secret
      },
      keep() {
        last = list
        secrets = sameList(
          secrets,
          list.map(({ secret }) => secret),
        )
        return secrets
      },
    }
  }
}

function isSame({ tags = {}, secret }: Read, properties: SecretProperties): boolean {
  const { enabled, changedAt, issuedAt } = plain(properties)
  return (
    secret.enabled === enabled &&
    secret.changedAt === changedAt &&
    secret.issuedAt === issuedAt &&
    hasSameTags(tags, properties.tags ?? {})
  )
}

function hasSameTags(some: NonNullable<Tags>, others: NonNullable<Tags>): boolean {
  const keys = Object.keys(some)
  return keys.length === Object.keys(others).length && keys.every((key) => some[key] === others[key])
}
