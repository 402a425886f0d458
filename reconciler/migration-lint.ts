/** Warns of what a migration would do to live traffic, before it is merged. */
import { type Finding, findingsOf, type Rule, RULES, tablesMadeBy } from "./lint-rules.ts"
import { type Migration, readMigrations } from "./migrations.ts"
import { lineAt, parseStatements, type Statement, SqlSyntaxError } from "./sql-text.ts"

/** `line` counts from 1. `rule`: "syntax" where the file is no SQL, which is an error and no warning. */
export type LintWarning = {
  file: string
  line: number
  rule: Rule | "syntax" | "unknown-rule"
  message: string
}

const ALLOW = /^[ \t]*--[ \t]*tenantry:[ \t]*allow ([a-z-]+)(?:[ \t]+--.*)?[ \t]*$/gim

/** "migrations/0005_x.sql:3: drop-column: DROP COLUMN … : stop using it in a release before this" */
export const formatWarning = ({ file, line, rule, message }: LintWarning): string =>
  `${file}:${line}: ${rule}: ${message}`

/**
 * The warnings for the steps of `directory`, in order. A comment "-- tenantry: allow <rule>" right above a statement
 * accepts the rule there (what stands behind a further "--" is the reason); above the first statement, in the whole file. Throws what readMigrations throws.
 */
export async function lintMigrations(directory: string): Promise<LintWarning[]> {
  const { steps } = await readMigrations(directory)
  return (await Promise.all(steps.map(lintStep))).flat()
}

async function lintStep({ file, up: { sql } }: Migration): Promise<LintWarning[]> {
  let statements: Statement[]
  try {
    statements = await parseStatements(sql)
  } catch (error) {
    if (!(error instanceof SqlSyntaxError)) throw error
    return [{ file, line: lineAt(sql, error.index), rule: "syntax", message: error.message }]
  }
  const directives = [...sql.matchAll(ALLOW)].map(({ 1: rule, index }) => ({ rule: rule!, index }))
  const unknown = directives
    .filter(({ rule }) => !RULES.some((known) => known === rule))
    .map(({ rule, index }): LintWarning => {
      const message = `there is no rule "${rule}" to allow; there are ${RULES.join(", ")}`
      return { file, line: lineAt(sql, index), rule: "unknown-rule", message }
    })

  const made = new Set<string>()
  let end = 0
  const warnings = statements.flatMap(({ node, start, text }, number) => {
    const isAllowed = ({ rule }: Finding) =>
      directives.some(
        (directive) =>
          directive.rule === rule &&
          ((directive.index >= end && directive.index < start + text.length) ||
            (number > 0 && directive.index < statements[0]!.start)),
      )
    const found = findingsOf(node, made).filter((finding) => !isAllowed(finding))
    for (const table of tablesMadeBy(node, made)) made.add(table)
    end = start + text.length
    return found.map((finding): LintWarning => ({ file, line: lineAt(sql, start), ...finding }))
  })
  return [...unknown, ...warnings]
}
