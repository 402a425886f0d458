/** What listed secrets mean: worked out once, and again where one has changed since. */
import type { SecretProperties } from "@azure/keyvault-secrets"
import { fromTags, type ObservedSecret, ownerOf } from "../ledger.ts"

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

/** `of` as `toSecret`; `rest` forgets the secrets that nobody asked for since the last rest. */
export type Reading = { of: (properties: SecretProperties) => ObservedSecret; rest: () => void }

/** A reading that has met no secret yet. */
export function createReading(): Reading {
  let last: ReadonlyMap<string, Read> = new Map()
  let current = new Map<string, Read>()
  return {
    of(properties) {
      const { name, tags } = properties
      const known = last.get(name)
      const read = known && isSame(known, properties) ? known : { tags, secret: toSecret(properties) }
      current.set(name, read)
      return read.secret
    },
    rest() {
      last = current
      current = new Map()
    },
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
