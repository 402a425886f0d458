/** Keyset pages: each begins where the one before ended, however many rows came or went meanwhile. */
import { z } from "zod"
import { invalidInput } from "./input.ts"

/** A whole number in a query string. */
const limit = z
  .string({ error: "must be given once" })
  .regex(/^(?:[1-9]\d?|100)$/, { error: "must be a whole number from 1 to 100" })
  .transform(Number)
  .optional()
  .meta({ description: "Most items on the page; 50 where it is not given." })

/** The query of every list. */
export const Page = z.strictObject({
  limit,
  after: z
    .string({ error: "must be given once" })
    .regex(/^[\w-]{1,1700}$/, { error: "must be the next of an earlier page" })
    .optional()
    .meta({ description: "The next of the page before." }),
})

const DEFAULT_LIMIT = 50
export const limitOf = ({ limit: asked }: { limit?: number | undefined }): number => asked ?? DEFAULT_LIMIT

/** What a list answers. */
export const pageOf = <T extends z.ZodType>(item: T) =>
  z.strictObject({ items: z.array(item), next: z.string().nullable() })

/** A page of up to `most + 1` items; the surplus one shows that there is more. `next` names the last one shown. */
export function toPage<Item>(items: Item[], most: number, next: (item: Item) => string) {
  if (items.length <= most) return { items, next: null }
  const shown = items.slice(0, most)
  return { items: shown, next: next(shown.at(-1)!) }
}

/** The id after which a page in the order of ids begins; 0 for the first one. Throws Problem. */
export function idAfter(after: string | undefined): number {
  if (after === undefined) return 0
  const id = Number(after)
  if (!/^[1-9]\d{0,15}$/.test(after) || !Number.isSafeInteger(id)) throw notANext()
  return id
}

/** Where a page in another order begins, as text for a query string. */
export const toCursor = (order: string, value: string | number, id: number | string): string =>
  Buffer.from(JSON.stringify([order, value, id])).toString("base64url")

/** What `toCursor` made of this order. Throws Problem where it did not. */
export function fromCursor<T extends string | number, I extends string | number>(
  text: string,
  order: string,
  value: z.ZodType<T>,
  id: z.ZodType<I>,
): [T, I] {
  const Cursor = z.tuple([z.literal(order), value, id])
  try {
    const [, position, last] = Cursor.parse(JSON.parse(Buffer.from(text, "base64url").toString("utf8")))
    return [position, last]
  } catch {
    throw notANext()
  }
}

const NOT_A_NEXT = "must be the next of an earlier page in the same order"

const notANext = () => invalidInput("query", [{ in: "query", field: "after", message: NOT_A_NEXT }])

/** For a list's query: refuses an `after` in which `read` finds no place, before a database is asked for the list. */
export const checkAfter =
  <L extends { after?: string | undefined }>(read: (list: L & { after: string }) => unknown) =>
  (list: L, context: z.RefinementCtx<L>): void => {
    const { after } = list
    if (after === undefined) return
    try {
      read({ ...list, after })
    } catch {
      context.addIssue({ code: "custom", path: ["after"], message: NOT_A_NEXT })
    }
  }
