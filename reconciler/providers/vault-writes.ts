/** Our own writes to the vault, remembered until a list shows them: a list from before them proves nothing. */
import type { SecretProperties } from "@azure/keyvault-secrets"
import { TransientError } from "../errors.ts"

/** The tag that says when a version was written: the service's own times are whole seconds. ISO 8601. */
export const WRITTEN_AT = "written-at"

/** A list without a write for longer than this is without it for another reason, such as a clock; milliseconds. */
const REMEMBERED = 30_000

export type Writes = ReturnType<typeof rememberWrites>

export function rememberWrites() {
  const writes = new Map<string, { at: string; until: number }>()
  return {
    /** The secret now has tags that were written at `at`; undefined: it was deleted. */
    note: (name: string, at: string | undefined): void => {
      if (at === undefined) writes.delete(name)
      else writes.set(name, { at, until: Date.now() + REMEMBERED })
    },
    /** Throws TransientError where a list shows a secret as it was before we wrote it; one that it lacks may be gone. */
    assertShown: (secrets: readonly SecretProperties[]): void => {
      for (const { name, tags } of secrets) {
        const write = writes.get(name)
        if (!write) continue
        if ((tags?.[WRITTEN_AT] ?? "") >= write.at || write.until < Date.now()) writes.delete(name)
        else
          throw new TransientError(
            "ListIncomplete",
            `the vault's list shows ${name} as it was before: it is stale`,
          )
      }
    },
  }
}
