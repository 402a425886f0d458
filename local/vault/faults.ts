import { z } from "zod"
import type { Operation } from "./routes.ts"

const operations = [
  "SecretSet",
  "SecretGet",
  "SecretUpdate",
  "SecretDelete",
  "SecretList",
  "SecretListVersions",
  "SecretListDeleted",
  "SecretGetDeleted",
  "SecretRecover",
  "SecretPurge",
  "SecretBackup",
  "SecretRestore",
] as const satisfies readonly Operation[]

const common = {
  match: z
    .strictObject({
      method: z.enum(["GET", "PUT", "PATCH", "POST", "DELETE"]).optional(),
      route: z.enum([...operations, "IdentityToken"]).optional(),
      name: z.string().min(1).optional(),
      clientId: z.string().min(1).optional(),
    })
    .optional(),
  after: z.int().min(0).optional(),
  times: z.union([z.int().min(1), z.literal("always")]).optional(),
}

const count = z.int().min(1)

const schema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("throttled"), retryAfterSeconds: z.int().min(0).optional(), ...common }),
  z.strictObject({ kind: z.literal("unavailable"), retryAfterSeconds: z.int().min(0).optional(), ...common }),
  z.strictObject({ kind: z.literal("server-error"), ...common }),
  z.strictObject({ kind: z.literal("html"), status: z.int().min(200).max(599), ...common }),
  z.strictObject({ kind: z.literal("delay"), milliseconds: z.int().min(1).max(600_000), ...common }),
  z.strictObject({ kind: z.literal("held"), ...common }),
  z.strictObject({ kind: z.literal("dropped"), ...common }),
  z.strictObject({ kind: z.literal("lost-response"), ...common }),
  z.strictObject({ kind: z.literal("truncated-json"), ...common }),
  z.strictObject({ kind: z.literal("forbidden"), ...common }),
  z.strictObject({ kind: z.literal("revoked"), ...common }),
  z.strictObject({ kind: z.literal("stale-list"), ...common }),
  z.strictObject({ kind: z.literal("truncated-list"), ...common }),
  z.strictObject({ kind: z.literal("empty-page"), ...common }),
  z.strictObject({ kind: z.literal("short-page"), ...common }),
  z.strictObject({
    kind: z.literal("limits"),
    sets: count.optional(),
    others: count.optional(),
    windowMs: count.optional(),
  }),
  z.strictObject({ kind: z.literal("identity-down"), after: common.after, times: common.times }),
])

/**
 * A fault that a test switches on. Those with a count take `after` (calls let through first, 0) and `times` (calls hit,
 * 1, or "always"); all but the last two take `match`: method, route (an operation, or IdentityToken), secret name in
 * any case, client id. Without a route the identity endpoint is left alone. A call meets at most one fault: the first
 * added of those that match. Only calls with a valid token count, so the client's first, unauthenticated call does not.
 *
 * | kind           | what the caller sees                                                        | acted |
 * |----------------|-----------------------------------------------------------------------------|-------|
 * | throttled      | 429 Throttled; Retry-After only with `retryAfterSeconds`, as on the service | no    |
 * | unavailable    | 503; Retry-After only with `retryAfterSeconds`                              | no    |
 * | server-error   | 500 with a JSON body                                                        | no    |
 * | html           | an HTML page under `status`                                                 | no    |
 * | delay          | the right answer after `milliseconds`; whoever gave up does not know        | yes   |
 * | held           | the right answer once all faults are off; whoever gave up does not know     | yes   |
 * | dropped        | the connection closes without an answer                                     | no    |
 * | lost-response  | the connection closes without an answer                                     | yes   |
 * | truncated-json | the right status with half of the body                                      | yes   |
 * | forbidden      | 403 ForbiddenByRbac, as while a role assignment spreads                     | no    |
 * | revoked        | 401 with a challenge; the client tries each call twice                      | no    |
 * | stale-list     | a list of the secrets as they stood when the fault was added                | -     |
 * | truncated-list | a page without its nextLink, though rows are left                           | -     |
 * | empty-page     | a page without rows and with a nextLink, while rows are left                | -     |
 * | short-page     | half a page and a nextLink, while rows are left                             | -     |
 * | limits         | 429 beyond `sets` (300) or `others` (4,000) per `windowMs` (10,000)         | no    |
 * | identity-down  | no token: the identity endpoint closes connections                          | no    |
 */
export type Fault = z.infer<typeof schema>

/** Reads a fault from JSON; throws an error that names the key and the remedy. */
export function parseFault(value: unknown): Fault {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  throw new Error(`not a fault: ${z.prettifyError(result.error)}; see the table in local/vault/faults.ts`)
}
