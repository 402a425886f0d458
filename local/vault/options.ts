import { z } from "zod"
import type { Role } from "./roles.ts"

/** How a local vault is started; times in milliseconds unless the name says otherwise. */
export type VaultOptions = {
  /** Where its state lives: made if missing, mode 0700. */
  directory: string
  /** Port of the vault; any free one by default. */
  port?: number
  /** Port of the managed identity endpoint; any free one by default. */
  identityPort?: number
  /** Days that a deleted secret can be recovered: 7 to 90 (default). */
  softDeleteDays?: number
  /** Whether purge is refused; default true. */
  purgeProtection?: boolean
  /** How long a deletion goes on after its answer: 404 as a deleted secret, 409 for its name. Default 200. */
  recoverableDelayMs?: number
  /** How long a recovery goes on after its answer: 404 for a read, 409 for a write. Default 0. */
  recoveringDelayMs?: number
  /** Every how many pages of a list one comes out short, or empty with a nextLink; default 7, 0 for never. */
  irregularPages?: number
  /** Life of a token in seconds; default 86,400, as on Azure. */
  tokenSeconds?: number
  /** Client ids with a role, besides the two that every vault has. */
  clients?: Readonly<Record<string, Role>>
  /** The clock; default Date.now. */
  now?: () => number
}

const limits = z.object({
  softDeleteDays: z.int().min(7).max(90),
  recoverableDelayMs: z.number().min(0),
  recoveringDelayMs: z.number().min(0),
  irregularPages: z.int().min(0),
  tokenSeconds: z.int().min(1),
})

/** The numbers of the options with their defaults; throws an error that names what is out of range. */
export function settings(options: VaultOptions): z.infer<typeof limits> {
  const { softDeleteDays = 90, recoverableDelayMs = 200, recoveringDelayMs = 0 } = options
  const { irregularPages = 7, tokenSeconds = 86_400 } = options
  const read = limits.safeParse({
    softDeleteDays,
    recoverableDelayMs,
    recoveringDelayMs,
    irregularPages,
    tokenSeconds,
  })
  if (!read.success) throw new Error(`options of the local vault: ${z.prettifyError(read.error)}`)
  return read.data
}
