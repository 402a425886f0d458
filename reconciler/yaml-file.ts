/** One YAML file against one schema, and for each fault the line, the key and the remedy. */
import { readFileSync, statSync } from "node:fs"
import { isMap, isSeq, LineCounter, parseDocument, type Document, type YAMLParseError } from "yaml"
import { z } from "zod"

/** What is wrong with one file. `line` counts from 1; `key` is empty where no key is to blame. */
export type Problem = { file: string; line: number; key: string; message: string }

/** "tenants/acme.yaml:2: name: must be …" */
export const formatProblem = ({ file, line, key, message }: Problem): string =>
  `${file}:${line}: ${key ? `${key}: ` : ""}${message}`

export type YamlFile<T> = {
  file: string
  /** undefined where there are problems. */
  value: T | undefined
  problems: Problem[]
  /** What the file holds, valid or not; undefined where that is no map. */
  raw: Record<string, unknown> | undefined
  /** The line of each key at the top, counted from 1. */
  lines: ReadonlyMap<string, number>
}

/** Bytes. What people write by hand is far smaller, and what is read is kept in memory. */
const MAX_SIZE = 65_536

/** Reads and validates `file`; never throws for what the file holds or for a file that is away. */
export function readYamlFile<T>(file: string, schema: z.ZodObject & z.ZodType<T>): YamlFile<T> {
  const text = readText(file)
  return typeof text === "string" ? parseYamlFile(file, text, schema) : faulty(file, text.fault)
}

/** The text of `file`, or why it cannot be had. */
export function readText(file: string): string | { fault: string } {
  try {
    const stat = statSync(file)
    if (stat.isDirectory())
      return {
        fault:
          "is a folder where a file should be: links to folders are not followed, and a folder's name does not end in .yaml",
      }
    // A pipe would be waited for, and a device has no end.
    if (!stat.isFile()) return { fault: "is no ordinary file: put a file in its place, or move it away" }
    if (stat.size > MAX_SIZE)
      return { fault: `is larger than ${MAX_SIZE / 1024} KiB: it should hold a few lines` }
    return readFileSync(file, "utf8")
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unknown error"
    return { fault: `cannot be read (${code}): check that it exists and its permissions` }
  }
}

/** A file of which nothing is known but its fault. */
export const faulty = <T>(file: string, message: string, line = 1): YamlFile<T> => ({
  file,
  value: undefined,
  problems: [{ file, line, key: "", message }],
  raw: undefined,
  lines: new Map(),
})

/** Validates `text` as the content of `file`; never throws for what it holds. */
export function parseYamlFile<T>(
  file: string,
  text: string,
  schema: z.ZodObject & z.ZodType<T>,
): YamlFile<T> {
  const counter = new LineCounter()
  const document = parseDocument(text, { lineCounter: counter, prettyErrors: false })
  const keys = Object.keys(schema.shape)
  const broken = document.errors[0]
  if (broken) return faulty(file, explain(broken, text), Math.max(1, counter.linePos(broken.pos[0]).line))
  if (!isMap(document.contents) && text.includes("\0"))
    return faulty(file, "cannot be read as UTF-8 text: save it as such")
  if (!isMap(document.contents))
    return faulty(file, `must hold keys (${keys.join(", ")}), one a line, such as "${keys[0]}: …"`)
  let raw: Record<string, unknown>
  try {
    raw = document.toJS({ maxAliasCount: 10 }) as Record<string, unknown>
  } catch (error) {
    return faulty(file, `is not valid YAML: ${(error as Error).message.replaceAll(/\s+/g, " ")}`)
  }
  const lineOf = (at: readonly PropertyKey[]) => Math.max(1, counter.linePos(offsetOf(document, at)).line)
  const lines = new Map(Object.keys(raw).map((key) => [key, lineOf([key])]))
  const result = schema.safeParse(raw, { reportInput: true })
  if (result.success) return { file, value: result.data, problems: [], raw, lines }
  const problems = result.error.issues
    .flatMap((issue) => describe(issue, keysAt(schema, issue.path)))
    .map(({ at, message }) => ({ file, line: lineOf(at), key: keyOf(at), message }))
  return { file, value: undefined, problems, raw, lines }
}

/** What the parser objects to, and what to do about it. */
function explain({ code, message, pos }: YAMLParseError, text: string): string {
  const word = /^[^\s:]*/.exec(text.slice(pos[0]))![0]
  switch (code) {
    case "MULTIPLE_DOCS":
      return 'is not valid YAML: it holds several documents; keep one, and remove the lines "---"'
    case "DUPLICATE_KEY":
      return `is not valid YAML: the key ${word} is there twice; keep one`
    case "TAB_AS_INDENT":
      return "is not valid YAML: a tab indents this line; use spaces"
    default:
      return `is not valid YAML: ${message.replaceAll(/\s+/g, " ")}; check brackets, quotes and indentation here and on the line before`
  }
}

/** "name" or "rollout.canary"; an item of a list goes by its list's key. */
const keyOf = (at: readonly PropertyKey[]): string => at.filter((part) => typeof part === "string").join(".")

/** Where the key or the list's item stands; where it is missing, where its map does. */
function offsetOf(document: Document, at: readonly PropertyKey[]): number {
  let offset = 0
  let node: unknown = document.contents
  for (const part of at) {
    const pair = isMap(node) ? node.items.find((item) => String(item.key) === String(part)) : undefined
    const item = isSeq(node) ? node.items[Number(part)] : undefined
    const found = (pair?.key ?? item) as { range?: [number, number, number] } | undefined
    offset = found?.range?.[0] ?? offset
    node = pair?.value ?? item
  }
  return offset
}

/** The keys that the map at `path` may have. */
function keysAt(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  const object = schema instanceof z.ZodOptional ? (schema.unwrap() as z.ZodType) : schema
  if (!(object instanceof z.ZodObject)) return []
  const [first, ...rest] = path
  const next = first === undefined ? undefined : (object.shape[String(first)] as z.ZodType | undefined)
  return next ? keysAt(next, rest) : Object.keys(object.shape)
}

function describe(
  issue: z.core.$ZodIssue,
  keys: readonly string[],
): { at: readonly PropertyKey[]; message: string }[] {
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({
      at: [...issue.path, key],
      message: `is not known here; the keys are ${keys.join(", ")}`,
    }))
  }
  const isMissing = issue.code === "invalid_type" && issue.input === undefined
  return [{ at: issue.path, message: isMissing ? `is missing; it ${issue.message}` : issue.message }]
}
