/**
 * What in a migration hurts traffic on tables that exist already, each with the safer way. The levels of locks, and
 * what rewrites or scans a table, are from Postgres's documentation of ALTER TABLE and CREATE INDEX. PURE
 */
import type { AlterTableCmd, Constraint, Node } from "libpg-query"

/** `rule` is what a directive "-- tenantry: allow <rule>" names. */
export type Finding = { rule: Rule; message: string }

const SAFER = {
  "index-blocks-writes": (what: string) =>
    `${what} keeps everybody from writing until it is built: use CREATE INDEX CONCURRENTLY in a file that starts with "-- tenantry: no-transaction"`,
  "drop-index-blocks": (what: string) =>
    `${what} waits for, and then blocks, everybody who uses the table: use DROP INDEX CONCURRENTLY in a file that starts with "-- tenantry: no-transaction"`,
  "table-rewrite": (what: string) =>
    `${what} writes the whole table anew while nobody can read it: add an empty column, fill it in batches, and switch over`,
  "type-change": (what: string) =>
    `${what} may write the whole table anew while nobody can read it: add a column of the new type, fill it in batches, and switch over`,
  "not-null-without-default": (what: string) =>
    `${what} fails on a table that has rows, and in a version of the program that does not know the column: add it with a DEFAULT, or without NOT NULL`,
  "set-not-null": (what: string) =>
    `${what} reads the whole table while nobody can use it: add CHECK (… IS NOT NULL) NOT VALID, VALIDATE it in a later step, and then SET NOT NULL`,
  "constraint-scan": (what: string) =>
    `${what} reads the whole table while nobody can write it: add it NOT VALID, and VALIDATE CONSTRAINT in a later step`,
  "unique-blocks": (what: string) =>
    `${what} builds an index while nobody can use the table: make a UNIQUE INDEX CONCURRENTLY first, then ADD CONSTRAINT … USING INDEX`,
  "drop-table": (what: string) =>
    `${what} takes the data away, and from programs that still use it: stop using it in a release before this`,
  "drop-column": (what: string) =>
    `${what} takes the data away, and from programs that still use it: stop using it in a release before this`,
  rename: (what: string) =>
    `${what} breaks programs that use the old name, for as long as both versions run: add the new one, move over, then drop`,
  truncate: (what: string) => `${what} takes the data of every tenant away`,
} satisfies Record<string, (what: string) => string>

export type Rule = keyof typeof SAFER
export const RULES = Object.keys(SAFER) as Rule[]

const finding = (rule: Rule, what: string): Finding => ({ rule, message: SAFER[rule](what) })

/** A table's name as statements write it. */
type Name = { schemaname?: string; relname?: string } | undefined
const tableKey = (name: Name): string => `${name?.schemaname ?? "public"}.${name?.relname ?? ""}`

/** The tables that the statement makes, and whose names it gives away: nothing can hurt traffic on them. */
export function tablesMadeBy(node: Node, made: ReadonlySet<string>): string[] {
  if ("CreateStmt" in node) return [tableKey(node.CreateStmt.relation)]
  if ("CreateTableAsStmt" in node) return [tableKey(node.CreateTableAsStmt.into?.rel)]
  if ("RenameStmt" in node && node.RenameStmt.renameType === "OBJECT_TABLE") {
    const { relation, newname = "" } = node.RenameStmt
    return made.has(tableKey(relation)) ? [tableKey({ ...relation, relname: newname })] : []
  }
  return []
}

/** What the statement does to tables other than those that were `made` in the same file. */
export function findingsOf(node: Node, made: ReadonlySet<string>): Finding[] {
  const isNew = (name: Name) => made.has(tableKey(name))
  if ("IndexStmt" in node) {
    const { relation, concurrent, idxname = "" } = node.IndexStmt
    if (concurrent || isNew(relation)) return []
    return [
      finding("index-blocks-writes", `CREATE INDEX ${idxname} on ${relation?.relname}`.replace("  ", " ")),
    ]
  }
  if ("AlterTableStmt" in node && node.AlterTableStmt.objtype === "OBJECT_TABLE") {
    const { relation, cmds = [] } = node.AlterTableStmt
    if (isNew(relation)) return []
    return cmds.flatMap((cmd) => ("AlterTableCmd" in cmd ? commandFindings(cmd.AlterTableCmd, relation) : []))
  }
  if ("DropStmt" in node) return dropFindings(node.DropStmt, made)
  if ("RenameStmt" in node) {
    const { renameType, relation, subname = "", newname = "" } = node.RenameStmt
    if (isNew(relation)) return []
    if (renameType === "OBJECT_TABLE") return [finding("rename", `RENAME ${relation?.relname} TO ${newname}`)]
    if (renameType === "OBJECT_COLUMN")
      return [finding("rename", `RENAME COLUMN ${relation?.relname}.${subname} TO ${newname}`)]
    return []
  }
  if ("TruncateStmt" in node) {
    const tables = (node.TruncateStmt.relations ?? []).flatMap((item) =>
      "RangeVar" in item ? [item.RangeVar] : [],
    )
    return tables
      .filter((table) => !isNew(table))
      .map((table) => finding("truncate", `TRUNCATE ${table.relname}`))
  }
  const rewritten = rewrittenBy(node)
  return rewritten && !isNew(rewritten.table)
    ? [finding("table-rewrite", `${rewritten.what} ${rewritten.table?.relname ?? ""}`.trim())]
    : []
}

function rewrittenBy(node: Node): { what: string; table: Name } | undefined {
  if ("ClusterStmt" in node) return { what: "CLUSTER", table: node.ClusterStmt.relation }
  if ("VacuumStmt" in node) {
    const isFull = node.VacuumStmt.options?.some(
      (option) => "DefElem" in option && option.DefElem.defname === "full",
    )
    const [first] = node.VacuumStmt.rels ?? []
    const table = first && "VacuumRelation" in first ? first.VacuumRelation.relation : undefined
    return isFull ? { what: "VACUUM FULL", table } : undefined
  }
  if ("RefreshMatViewStmt" in node && !node.RefreshMatViewStmt.concurrent)
    return { what: "REFRESH MATERIALIZED VIEW", table: node.RefreshMatViewStmt.relation }
  return undefined
}

function dropFindings(
  { removeType, objects = [], concurrent }: Extract<Node, { DropStmt: unknown }>["DropStmt"],
  made: ReadonlySet<string>,
): Finding[] {
  const names = objects.map((object) => {
    const items = "List" in object ? (object.List.items ?? []) : []
    const words = items.map((item) => ("String" in item ? (item.String.sval ?? "") : ""))
    const relname = words.at(-1) ?? ""
    return words.length > 1 ? { schemaname: words.at(-2)!, relname } : { relname }
  })
  if (removeType === "OBJECT_TABLE") {
    return names
      .filter((name) => !made.has(tableKey(name)))
      .map(({ relname }) => finding("drop-table", `DROP TABLE ${relname}`))
  }
  if (removeType === "OBJECT_INDEX" && !concurrent)
    return names.map(({ relname }) => finding("drop-index-blocks", `DROP INDEX ${relname}`))
  return []
}

const REWRITES: Partial<Record<NonNullable<AlterTableCmd["subtype"]>, string>> = {
  AT_SetLogged: "SET LOGGED",
  AT_SetUnLogged: "SET UNLOGGED",
  AT_SetTableSpace: "SET TABLESPACE",
  AT_SetAccessMethod: "SET ACCESS METHOD",
  AT_SetExpression: "SET EXPRESSION",
}

/** Defaults that are not one and the same value for all rows make Postgres write each row. */
const VOLATILE = new Set([
  "random",
  "gen_random_uuid",
  "uuidv4",
  "uuidv7",
  "uuid_generate_v4",
  "clock_timestamp",
  "timeofday",
  "nextval",
])

function commandFindings(cmd: AlterTableCmd, table: Name): Finding[] {
  const on = `${table?.relname}.`
  const rewrite = cmd.subtype && REWRITES[cmd.subtype]
  if (rewrite) return [finding("table-rewrite", `${rewrite} of ${table?.relname}`)]
  switch (cmd.subtype) {
    case "AT_AddColumn":
      return cmd.def && "ColumnDef" in cmd.def ? columnFindings(cmd.def.ColumnDef, on) : []
    case "AT_AlterColumnType":
      return [finding("type-change", `ALTER COLUMN ${on}${cmd.name} TYPE`)]
    case "AT_SetNotNull":
      return [finding("set-not-null", `ALTER COLUMN ${on}${cmd.name} SET NOT NULL`)]
    case "AT_DropColumn":
      return [finding("drop-column", `DROP COLUMN ${on}${cmd.name}`)]
    case "AT_AddConstraint":
      return cmd.def && "Constraint" in cmd.def
        ? constraintFindings(cmd.def.Constraint, `${table?.relname}`)
        : []
    default:
      return []
  }
}

function columnFindings(
  { colname, constraints = [], typeName }: Extract<Node, { ColumnDef: unknown }>["ColumnDef"],
  on: string,
): Finding[] {
  const what = `ADD COLUMN ${on}${colname}`
  const its = constraints.flatMap((item) => ("Constraint" in item ? [item.Constraint] : []))
  const has = (type: Constraint["contype"]) => its.find(({ contype }) => contype === type)
  const type = typeName?.names?.map((name) => ("String" in name ? name.String.sval : "")).at(-1) ?? ""
  const isSerial = /^(?:small|big)?serial[248]?$/.test(type)
  const isStored = its.some((one) => one.contype === "CONSTR_GENERATED" && one.generated_kind !== "v")
  const standard = has("CONSTR_DEFAULT")
  const found: Finding[] = []
  if (isSerial || isStored || has("CONSTR_IDENTITY")) found.push(finding("table-rewrite", what))
  else if (standard && callsVolatile(standard.raw_expr))
    found.push(finding("table-rewrite", `${what} with a DEFAULT that differs from row to row`))
  else if ((has("CONSTR_NOTNULL") || has("CONSTR_PRIMARY")) && !standard && !has("CONSTR_GENERATED"))
    found.push(finding("not-null-without-default", `${what} NOT NULL`))
  if (has("CONSTR_UNIQUE") || has("CONSTR_PRIMARY")) found.push(finding("unique-blocks", `${what} UNIQUE`))
  // A reference or a check of a new column is checked row by row, unless all rows hold the same null.
  if (standard && has("CONSTR_FOREIGN")) found.push(finding("constraint-scan", `${what} REFERENCES`))
  if (has("CONSTR_CHECK")) found.push(finding("constraint-scan", `${what} CHECK`))
  return found
}

function callsVolatile(expression: unknown): boolean {
  return [...JSON.stringify(expression ?? "").matchAll(/"funcname":(\[.*?\])/g)].some(([, names]) =>
    VOLATILE.has((JSON.parse(names!) as { String?: { sval?: string } }[]).at(-1)?.String?.sval ?? ""),
  )
}

function constraintFindings(constraint: Constraint, table: string): Finding[] {
  const { contype, conname = "", skip_validation: isNotValid, indexname } = constraint
  const what = (kind: string) => `ADD ${conname ? `CONSTRAINT ${conname} ` : ""}${kind} on ${table}`
  switch (contype) {
    case "CONSTR_FOREIGN":
      return isNotValid ? [] : [finding("constraint-scan", what("FOREIGN KEY"))]
    case "CONSTR_CHECK":
      return isNotValid ? [] : [finding("constraint-scan", what("CHECK"))]
    case "CONSTR_NOTNULL":
      return isNotValid ? [] : [finding("set-not-null", what("NOT NULL"))]
    case "CONSTR_UNIQUE":
      return indexname ? [] : [finding("unique-blocks", what("UNIQUE"))]
    case "CONSTR_PRIMARY":
      return indexname ? [] : [finding("unique-blocks", what("PRIMARY KEY"))]
    case "CONSTR_EXCLUSION":
      return [finding("unique-blocks", what("EXCLUDE"))]
    default:
      return []
  }
}
