import { z } from "zod"
import { badParameter } from "./problem.ts"

/** How a page is to come out: `empty` and `short` still lead on, `last` drops the way on though rows are left. */
export type Shape = "full" | "short" | "empty" | "last"

/** One page of a list as the service sends it. */
export type Page = { value: unknown[]; nextLink: string | null }

const cursor = z.object({ after: z.string() })

/** Where a page starts (keys greater than `after`) and how many rows it may hold: 1 to 25. */
export function pageOf(query: URLSearchParams): { after: string; size: number } {
  const size = Number(query.get("maxresults") ?? 25)
  if (!Number.isInteger(size) || size < 1 || size > 25) {
    throw badParameter(
      `Property maxresults has invalid value: ${query.get("maxresults")}; allowed are 1 to 25`,
    )
  }
  const token = query.get("$skiptoken")
  if (token === null) return { after: "", size }
  try {
    return { ...cursor.parse(JSON.parse(Buffer.from(token, "base64url").toString())), size }
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof z.ZodError) throw badParameter("Invalid $skiptoken")
    throw error
  }
}

/** The index of the first key greater than `after` in sorted keys. */
function firstAfter(keys: readonly string[], after: string): number {
  let [low, high] = [0, keys.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((keys[middle] ?? "") <= after) low = middle + 1
    else high = middle
  }
  return low
}

/**
 * Cuts one page. A page begins after a key, not at a number, so rows that are added or go away between two pages neither
 * repeat nor hide another row.
 * @param row the row of a key, or undefined for a key that does not belong in this list
 * @param link the address of the page that starts after a key
 */
export function cutPage(
  keys: readonly string[],
  { after, size, shape }: { after: string; size: number; shape: Shape },
  row: (key: string) => unknown,
  link: (after: string) => string,
): Page {
  const limit = shape === "empty" ? 0 : shape === "short" ? Math.ceil(size / 2) : size
  const value: unknown[] = []
  let last = after
  for (let index = firstAfter(keys, after); index < keys.length; index += 1) {
    const key = keys[index] ?? ""
    const found = row(key)
    if (found === undefined) continue
    if (value.length === limit) return { value, nextLink: shape === "last" ? null : link(last) }
    value.push(found)
    last = key
  }
  return { value, nextLink: null }
}

/** The address of a page: exactly the vault's origin, as the client demands. */
export function linkTo(
  origin: string,
  path: string,
  apiVersion: string,
  size: number,
): (after: string) => string {
  return (after) => {
    const token = Buffer.from(JSON.stringify({ after })).toString("base64url")
    return `${origin}${path}?api-version=${apiVersion}&$skiptoken=${token}&maxresults=${size}`
  }
}
