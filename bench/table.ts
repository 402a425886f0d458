/** A scene's result as a Markdown table that is readable as it is. */
import type { Metric } from "./bench.ts"
import type { SceneResult } from "./measure.ts"

const ABSENT = "–"

const shown = (value: number | undefined, digits: number) =>
  value === undefined
    ? ABSENT
    : value.toLocaleString("en-GB", { minimumFractionDigits: digits, maximumFractionDigits: digits })

/** The table, the targets, and what is missing. */
export function renderScene(bench: string, result: SceneResult, metrics: readonly Metric[]): string {
  const headings = metrics.flatMap(({ name, isCompared }) => (isCompared ? [name, "ratio"] : [name]))
  const rows = result.contestants.map(({ name, role, median, ratio }) => [
    name,
    role,
    ...metrics.flatMap((metric) => [
      shown(median[metric.name], metric.digits ?? 0),
      ...(metric.isCompared ? [shown(ratio[metric.name], 2)] : []),
    ]),
  ])
  return [
    `### ${bench}: ${result.name}`,
    "",
    ...alignColumns([["contestant", "role", ...headings], ...rows]),
    "",
    ...result.targets.map(
      ({ text, value, isMet }) => `- ${isMet ? "met" : "MISSED"}: ${text}; it is ${shown(value, 2)}`,
    ),
    ...result.missing.map((what) => `- NOT MEASURED: ${what}`),
    "",
  ].join("\n")
}

/** The first two columns are text; the others are figures. */
const isText = (column: number) => column < 2

function alignColumns([heading, ...rows]: string[][]): string[] {
  const all = [heading!, ...rows]
  const widths = heading!.map((_, column) => Math.max(...all.map((row) => row[column]!.length)))
  const line = (row: string[]) =>
    `| ${row.map((cell, column) => (isText(column) ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!))).join(" | ")} |`
  const rule = widths.map((width, column) =>
    isText(column) ? "-".repeat(width) : `${"-".repeat(width - 1)}:`,
  )
  return [line(heading!), line(rule), ...rows.map(line)]
}
