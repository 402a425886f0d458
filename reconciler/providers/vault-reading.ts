/** What listed secrets mean: worked out once, and again where one has changed since. */
import type { SecretProperties } from "@azure/keyvault-secrets"
import { fromTags, type ObservedSecret, ownerOf } from "../ledger.ts"

type Tags = SecretProperties["tags"]

/** What a secret's properties mean. */
export const toSecret = ({
  name,
  enabled,
  tags,
  createdOn,
  updatedOn,
}: SecretProperties): ObservedSecret => ({
  name,
  enabled: enabled ?? true,
  owner: ownerOf(tags),
  entry: fromTags(name, tags),
  isProtected: tags?.["protected"] === "true",
  changedAt: updatedOn?.getTime() ?? 0,
  issuedAt: createdOn?.getTime(),
})

/** `of` as `toSecret`; `rest` forgets the secrets that nobody asked for since the last rest. */
export type Reading = { of: (properties: SecretProperties) => ObservedSecret; rest: () => void }

/** A reading that has met no secret yet. */
export function createReading(): Reading {
  type Read = { tags: Tags; secret: ObservedSecret }
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

const isSame = ({ tags, secret }: { tags: Tags; secret: ObservedSecret }, now: SecretProperties): boolean =>
  secret.changedAt === (now.updatedOn?.getTime() ?? 0) &&
  secret.issuedAt === now.createdOn?.getTime() &&
  secret.enabled === (now.enabled ?? true) &&
  hasSameTags(tags ?? {}, now.tags ?? {})

function hasSameTags(some: NonNullable<Tags>, others: NonNullable<Tags>): boolean {
  let left = 0
  for (const key in some) {
    if (some[key] !== others[key]) return false
    left++
  }
  for (const _ in others) left--
  return left === 0
}
