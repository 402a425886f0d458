/** A plan as a comment on a pull request: counts first, removals by name, and short however large the fleet. PURE */
import type { LintWarning } from "./migration-lint.ts"
import type { PlanDocument } from "./plan-document.ts"

/** The first line, by which the comment is found again. */
export const MARK = "<!-- tenantry plan -->"

/** GitHub takes 65,536 characters: docs.github.com, "Creating an issue comment" answers 422 beyond. */
export const LONGEST = 65_536
/** A section's most lines and characters. Their sum leaves room for the heading; what is left out is in the artifact. */
const REMOVALS = { lines: 150, characters: 20_000 }
const OTHERS = { lines: 30, characters: 6000 }
const CHANGES = { lines: 60, characters: 8000 }
/** Characters that are shown of one name or message. */
const LINE = 200

const plural = (count: number, one: string, many = `${one}s`) => `${count} ${count === 1 ? one : many}`

/** Text that Markdown, HTML and mentions leave alone, on one line. */
const prose = (text: string): string =>
  cut(text.replaceAll(/[\p{Cc}\s]+/gu, " "))
    .replaceAll(/[\\`*_{}[\]()#+!|~$-]/g, String.raw`\$&`)
    .replaceAll(/[&<>@]/g, (character) => `&#${character.codePointAt(0)};`)
const code = (text: string): string => `\`${cut(text.replaceAll(/[\p{Cc}\s`]+/gu, " "))}\``
const cut = (text: string): string => (text.length > LINE ? `${text.slice(0, LINE - 1)}…` : text)

/** `url`: where the run is whose artifact has the whole plan. */
export function renderComment(
  plan: PlanDocument,
  warnings: readonly LintWarning[],
  { url }: { url: string | undefined },
): string {
  const { counts } = plan
  const removals = plan.changes.filter(({ removal }) => removal)
  const others = plan.changes.filter(({ removal }) => !removal)
  const blocked = plan.withheld.filter(({ waiting }) => !waiting)
  const waiting = Map.groupBy(
    plan.withheld.filter((withheld) => withheld.waiting),
    ({ kind, reason, message }) => `${kind}: ${reason}: ${message}`,
  )
  const headline = [
    plural(counts.changes, "change"),
    plural(counts.removals, "removal"),
    `${counts.withheld} withheld`,
    `${counts.stalls} stalled`,
    plural(counts.problems, "fault"),
    plural(warnings.length, "migration warning"),
  ].join(", ")
  const kinds = [...Map.groupBy(plan.changes, ({ kind }) => kind)].toSorted(([a], [b]) => (a < b ? -1 : 1))

  return [
    MARK,
    `### Plan for the fleet ${code(plan.fleet)}: ${headline}`,
    "",
    ...(kinds.length > 0
      ? [
          "| change | tenants |",
          "|---|---|",
          ...kinds.map(([kind, those]) => `| ${kind} | ${those.length} |`),
          "",
        ]
      : []),
    ...section(
      "Removed",
      removals.map(({ kind, name, tenant }) => `- ${kind} ${code(name)} (${code(tenant)})`),
      REMOVALS,
    ),
    ...section(
      "Withheld until a person acts",
      blocked.map(
        ({ kind, name, tenant, reason, message, approve }) =>
          `- ${kind} ${code(name)}: ${reason}: ${prose(message)}${allow(tenant, approve)}`,
      ),
    ),
    ...section(
      "Stalled",
      plan.stalls.map(
        ({ name, tenant, reason, message, approve }) =>
          `- ${code(name)}: ${reason}: ${prose(message)}${allow(tenant, approve)}`,
      ),
    ),
    ...section(
      "Faults in files",
      plan.problems.map((problem) => `- ${prose(problem)}`),
    ),
    ...section(
      "Migration warnings",
      warnings.map(
        ({ file, line, rule, message }) => `- ${code(`${file}:${line}`)} ${rule}: ${prose(message)}`,
      ),
    ),
    ...section(
      "To follow",
      [...waiting].map(([why, those]) => `- ${plural(those.length, "tenant")}: ${prose(why)}`),
    ),
    ...(others.length > 0
      ? [
          `<details><summary>${plural(others.length, "other change")}</summary>`,
          "",
          ...listed(
            others.map(
              ({ kind, name, cell, actions }) =>
                `- ${kind} ${code(name)}${cell ? ` in ${code(cell)}` : ""} (${actions.join(" > ")})`,
            ),
            CHANGES,
          ),
          "",
          "</details>",
          "",
        ]
      : []),
    url
      ? `The whole plan is an artifact of [this run](${url}).`
      : "The whole plan is an artifact of this run.",
    "",
  ].join("\n")
}

const allow = (tenant: string, verb: string | undefined) =>
  verb ? `; to allow it once: \`npx tenantry approve ${tenant} ${verb}\`` : ""

const section = (title: string, lines: readonly string[], room = OTHERS): string[] =>
  lines.length === 0 ? [] : [`**${title}**`, "", ...listed(lines, room), ""]

function listed(lines: readonly string[], room: { lines: number; characters: number }): string[] {
  let { characters } = room
  const kept = lines.slice(0, room.lines)
  const end = kept.findIndex((line) => (characters -= line.length + 1) < 0)
  const shown = end < 0 ? kept : kept.slice(0, end)
  const rest = lines.length - shown.length
  return rest === 0 ? shown : [...shown, `- … and ${rest} more, see the artifact`]
}
