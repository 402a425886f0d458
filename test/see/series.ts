/** Metrics as Prometheus reads them. */

/** The value of each series by its name and labels: `tenantry_tenants{condition="Ready",state="active"}`. */
export function parseSeries(text: string): Map<string, number> {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"))
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(" ")
      return [line.slice(0, at), Number(line.slice(at + 1))] as const
    }),
  )
}

/** The sum of all series of this name whose labels hold these. */
export function sumOf(
  series: Map<string, number>,
  name: string,
  labels: Record<string, string> = {},
): number {
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`)
  return [...series]
    .filter(([key]) => key === name || key.startsWith(`${name}{`))
    .filter(([key]) => wanted.every((one) => key.includes(one)))
    .reduce((sum, [, value]) => sum + value, 0)
}
