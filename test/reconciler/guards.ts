/** What no plan may hold, whatever the world looks like: one line for each offence. */
import type { Change } from "../../reconciler/action.ts"
import { fullName } from "../../reconciler/cells.ts"
import type { Desired, Observed } from "../../reconciler/plan.ts"
import type { Plan } from "../../reconciler/policy.ts"
import { nameKey, secretName } from "../../reconciler/tenant.ts"

export function forbiddenIn(plan: Plan, desired: Desired, observed: Observed, now: number): string[] {
  const tenants = plan.changes.map(({ tenant }) => tenant)
  const vacated = new Set(
    plan.changes.flatMap(({ cell, actions }) =>
      actions.flatMap((action) => {
        if (action.kind === "drop") return [fullName({ cell, name: action.database })]
        return action.kind === "rename" ? [fullName({ cell, name: action.from })] : []
      }),
    ),
  )
  return [
    ...tenants.filter((id, n) => tenants.indexOf(id) !== n).map((id) => `two changes for ${id}`),
    ...tenants.filter((id) => desired.held.has(id)).map((id) => `a change for ${id}, which is held`),
    ...plan.changes.flatMap((change) => offences(change, desired, observed, now, vacated)),
  ]
}

function offences(
  change: Change,
  desired: Desired,
  { databases, secrets }: Observed,
  now: number,
  vacated: ReadonlySet<string>,
): string[] {
  const { tenant, cell } = change
  const secret = secrets.find(({ name }) => name === secretName(tenant))
  const entry = secret?.entry
  const there = databases.filter((database) => database.cell === cell)
  const marked = databases.filter(({ marker }) => marker?.fleet === desired.fleet && marker.tenant !== tenant)
  const isAnothers = (name: string) =>
    marked.some((one) => nameKey(one.name) === nameKey(name) && !vacated.has(fullName(one)))
  const listed = new Map(there.map((database) => [database.name, database.marker]))
  const isVacated = (name: string) => vacated.has(fullName({ cell, name }))
  const own = databases.filter(({ marker }) => marker?.fleet === desired.fleet && marker.tenant === tenant)
  const mine = new Set(own.filter((database) => database.cell === cell).map(({ name }) => name))
  const declared = desired.tenants.find(({ id }) => id === tenant)
  const isDesired = declared !== undefined
  const isKept =
    entry?.state === "active" || (entry?.state === "purging" && secret?.enabled && !entry.retiredAt)
  const isExpired = entry?.retiredAt && now - Date.parse(entry.retiredAt) >= desired.gracePeriod
  const said = (offence: string) => `${change.kind} ${change.name}: ${offence}`
  const found: string[] = []
  const must = (isSo: unknown, offence: string) => isSo || found.push(said(offence))

  must(desired.cells.includes(cell), "is in a cell that is not configured")
  must(declared?.cell === undefined || declared.cell === cell, "is not in the cell that its file wants")
  must(own.length === mine.size, "leaves its database in another cell alone")
  must(own.length > 0 || !entry || entry.cell === cell, "is not where the ledger has it")
  for (const action of change.actions)
    if ("entry" in action && action.kind !== "annotate")
      must(action.entry.cell === cell, "is entered in another cell")
  if (secret) must(entry?.fleet === desired.fleet, "its secret is not ours")
  for (const action of change.actions) {
    switch (action.kind) {
      case "create":
        must(
          !entry || (entry.state === "reserved" && entry.schema === "none"),
          "creates though the ledger knows a database",
        )
        must(mine.size === 0, "creates a second database")
        must(!listed.has(action.database) || isVacated(action.database), "creates where one is")
        must(!isAnothers(action.database), `creates ${action.database}, which another tenant is called`)
        mine.add(action.database)
        break
      case "secure":
        // What has no marker is empty, or `secure` refuses; only a reservation may lead here.
        must(
          mine.has(action.database) || (listed.get(action.database) === null && entry?.state === "reserved"),
          `secures ${action.database}`,
        )
        mine.add(action.database)
        break
      case "migrate":
      case "seed":
      case "credential":
      case "close":
      case "close-login":
        must(mine.has(action.database), `${action.kind}s ${action.database}, which is not its own`)
        break
      case "rename":
        must(mine.delete(action.from), `renames ${action.from}, which is not its own`)
        must(!listed.has(action.to) || isVacated(action.to), `renames to ${action.to}, which is taken`)
        must(!isAnothers(action.to), `renames to ${action.to}, which another tenant is called`)
        mine.add(action.to)
        break
      case "publish":
        // Without a file only who was served and may not be removed, see policy.ts.
        must((isDesired || isKept) && mine.has(action.database), `publishes ${action.database}`)
        must(action.entry.id === tenant && action.entry.fleet === desired.fleet, "publishes another's entry")
        break
      case "drop":
        must(!isDesired && (isExpired || entry?.approval?.verb === "purge"), "drops before its time")
        must(action.database === `retired-${tenant}`, "drops what was not retired")
        must(mine.delete(action.database), `drops ${action.database}, which is not its own`)
        break
      case "drop-roles":
        must(mine.size === 0 || mine.has(action.database ?? ""), "drops roles that a database needs")
        must(!isDesired || entry?.state === "purging", "drops the roles of what has a file")
        break
      case "forget":
        must(mine.size === 0, `${action.kind}s while there is a database`)
        must(!isDesired || entry?.state === "purging", `${action.kind}s what has a file`)
        must(
          ["reserved", "purging"].includes(entry?.state ?? "") || isExpired,
          `${action.kind}s before its time`,
        )
        break
      case "reserve":
      case "annotate":
      case "record":
        must(
          !isDesired || action.entry.state !== "retired" || /retired|purging/.test(entry?.state ?? ""),
          "retires what has a file",
        )
        must(action.entry.id === tenant && action.entry.fleet === desired.fleet, "writes another's entry")
        break
    }
  }
  return found
}
