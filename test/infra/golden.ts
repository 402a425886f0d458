import type { Graph } from "./graph.ts"

const sortKeys = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sortKeys)
  if (typeof value !== "object" || value === null) return value
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(entries.map(([key, inner]) => [key, sortKeys(inner)]))
}

const oneLine = (whole: string, before: string, inner: string, after: string) => {
  const line = `${before}[${inner.replaceAll(/,\n\s+/g, ", ")}]${after}`
  return line.length <= 110 ? line : whole
}

/** A graph as a file that a person reviews; lists of plain values on one line where they fit, as the formatter has them. */
export function renderGraph({ resources, outputs }: Graph): string {
  const shown = resources.map(({ protect, retainOnDelete, ...rest }) => ({
    ...rest,
    ...(protect ? { protect } : {}),
    ...(retainOnDelete ? { retainOnDelete } : {}),
  }))
  const text = JSON.stringify(sortKeys({ resources: shown, outputs }), undefined, 2)
  const plain = String.raw`(?:"(?:[^"\\]|\\.)*"|[\d.]+|true|false)`
  const list = new RegExp(String.raw`^(.*)\[\n\s+(${plain}(?:,\n\s+${plain})*)\n\s+\](,?)$`, "gm")
  return `${text.replaceAll(list, oneLine)}\n`
}
