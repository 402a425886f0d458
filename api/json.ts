/** JSON as RFC 7493 (I-JSON) wants it: a key said twice would mean one thing here and another one elsewhere. */

/** Thrown for an object that says a key twice. */
export class KeyRepeated extends Error {
  override readonly name = "KeyRepeated"
  readonly key: string
  constructor(key: string) {
    super("an object says a key twice")
    this.key = key
  }
}

/** The value that `text` holds. Throws SyntaxError where it is no JSON, and KeyRepeated. */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text)
  if (typeof value === "object") assertKeysOnce(text)
  return value
}

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\]:]/g

/** `text` is JSON already, so that each string before a colon is a key of the object that was opened last. */
function assertKeysOnce(text: string): void {
  /** The keys of what is open, the innermost last; an array has none. */
  const open: (Set<string> | undefined)[] = []
  let last = ""
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === "{") open.push(new Set())
    else if (token === "[") open.push(undefined)
    else if (token === "}" || token === "]") open.pop()
    else if (token === ":") {
      const key = last.includes("\\") ? (JSON.parse(last) as string) : last.slice(1, -1)
      const keys = open.at(-1)!
      if (keys.has(key)) throw new KeyRepeated(key)
      keys.add(key)
    }
    last = token
  }
}
