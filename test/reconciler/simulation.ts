/** The systems as values: what Neon, Postgres and the vault would be after each action, and what would refuse it. */
import { fullName } from "../../reconciler/cells.ts"
import { TerminalError, TransientError } from "../../reconciler/errors.ts"
import { type ApprovalVerb, fromTags, isSettled, type LedgerEntry, toTags } from "../../reconciler/ledger.ts"
import type { Action, Change } from "../../reconciler/action.ts"
import {
  loginRole,
  type Marker,
  nameKey,
  otherSlot,
  secretName,
  Slot,
  type TenantId,
} from "../../reconciler/tenant.ts"

export const FLEET = "sample"
export const CELLS = ["cell-1", "cell-2"]

/** Whose database it is in truth, whatever its marker or name says; nobody's while it is new, empty and unmarked. */
type Owner = TenantId | "nobody" | "foreign"

export type SimulatedDatabase = {
  marker: Marker | null
  /** What is in it; no two databases ever hold the same. */
  readonly data: string
  owner: Owner
  schema: string
  seeds: string[]
}

/** The connection string as its parts; passwords are numbers, none is given twice. */
type Credential = { cell: string; database: string; role: string; password: number }

export type SimulatedSecret = {
  enabled: boolean
  tags: Record<string, string>
  value: Credential | "reserved" | "foreign"
  /** Milliseconds since 1970. */
  changedAt: number
}

export type SimulatedWorld = {
  cells: readonly string[]
  /** Each cell has a Postgres of its own, and so databases and roles of its own: the keys are cell/name. */
  databases: Map<string, SimulatedDatabase>
  roles: Map<string, { login: boolean; password: number }>
  secrets: Map<string, SimulatedSecret>
  deletedSecrets: Map<string, SimulatedSecret>
  /** Passwords that a reader of the vault has seen: whoever has one may be connected while its role may log in. */
  known: Set<number>
  /** When a tenant's data was last within reach of its users. */
  lastServed: Map<TenantId, number>
  /** Whose removal, or whose empty database, a person has allowed. */
  approved: Set<string>
  /** The newest schema. */
  version: string
  now: number
  gracePeriod: number
  /** Counts up, for whatever must be fresh. */
  fresh: number
  /** What must never happen and did, in words. */
  harm: string[]
}

export const emptyWorld = (cells: readonly string[] = CELLS): SimulatedWorld => ({
  cells,
  databases: new Map(),
  roles: new Map(),
  secrets: new Map(),
  deletedSecrets: new Map(),
  known: new Set(),
  lastServed: new Map(),
  approved: new Set(),
  version: "0001:aa",
  now: Date.parse("2027-01-01T00:00:00Z"),
  gracePeriod: 30 * 86_400_000,
  fresh: 1,
  harm: [],
})

/** `place`: cell/name. */
export const addForeignDatabase = (world: SimulatedWorld, place: string, marker: Marker | null): void => {
  const data = `data-${world.fresh++}`
  world.databases.set(place, { marker, data, owner: "foreign", schema: "theirs", seeds: [] })
}

/** What a change carries from one of its actions to the next. */
export type Carried = { credential?: { role: string; password: number } }

/** Of "cell/name", the cell. */
export const cellOf = (place: string): string => place.slice(0, place.indexOf("/"))

/** Does one action as apply.ts does; throws as the real systems do, and notes harm. */
export function perform(
  world: SimulatedWorld,
  action: Action,
  { tenant, cell }: Pick<Change, "tenant" | "cell">,
  carried: Carried,
): void {
  const at = (name: string) => fullName({ cell, name })
  noteServed(world)
  switch (action.kind) {
    case "reserve":
      setSecret(world, action.entry, "reserved", false)
      break
    case "create":
      if (world.databases.has(at(action.database))) throw new TerminalError("NameTaken", action.database)
      world.databases.set(at(action.database), {
        marker: null,
        data: `data-${world.fresh++}`,
        owner: "nobody",
        schema: "none",
        seeds: [],
      })
      break
    case "secure":
      secure(world, at(action.database), tenant)
      break
    case "migrate":
      databaseOf(world, at(action.database), tenant, "migrated").schema = world.version
      break
    case "seed": {
      const { seeds } = databaseOf(world, at(action.database), tenant, "seeded")
      if (!seeds.includes(action.seed)) seeds.push(action.seed)
      break
    }
    case "credential": {
      const role = loginRole(tenant, action.slot)
      const password = world.fresh++
      roleOf(world, at(role))
      world.roles.set(at(role), { login: true, password })
      if (action.exclusive) roleOf(world, at(loginRole(tenant, otherSlot(action.slot)))).login = false
      carried.credential = { role, password }
      break
    }
    case "publish": {
      const login = carried.credential!
      setSecret(world, action.entry, { ...login, cell, database: action.database }, true)
      world.known.add(login.password)
      break
    }
    case "record":
      tagSecret(world, action.entry)
      break
    case "annotate":
      annotateSecret(world, action.entry)
      break
    case "close":
      if (world.databases.has(at(action.database))) databaseOf(world, at(action.database), tenant, "closed")
      for (const slot of Slot.options) roleOf(world, at(loginRole(tenant, slot))).login = false
      break
    case "close-login":
      roleOf(world, at(loginRole(tenant, action.slot))).login = false
      break
    case "rename":
      rename(world, at(action.from), at(action.to), tenant)
      break
    case "drop":
      drop(world, at(action.database), tenant)
      break
    case "drop-roles":
      for (const [place, { marker }] of world.databases) {
        const isOurs = cellOf(place) === cell && marker?.tenant === tenant && marker.fleet === FLEET
        if (isOurs && place !== at(action.database ?? ""))
          throw new TerminalError("SqlRejected", "objects depend on the role (2BP01)")
      }
      for (const slot of Slot.options) world.roles.delete(at(loginRole(tenant, slot)))
      break
    case "forget": {
      const secret = world.secrets.get(secretName(tenant))
      if (secret) world.deletedSecrets.set(secretName(tenant), secret)
      if (secret) touch(world, tenant, secret, "deleted")
      world.secrets.delete(secretName(tenant))
      break
    }
  }
  lookForHarm(world)
}

function databaseOf(world: SimulatedWorld, name: string, tenant: TenantId, deed: string): SimulatedDatabase {
  const database = world.databases.get(name)
  if (!database) throw new TransientError("PostgresUnavailable", `database ${name} does not exist (3D000)`)
  if (database.owner !== tenant && database.owner !== "nobody")
    world.harm.push(`${name} of ${database.owner} was ${deed} for ${tenant}`)
  return database
}

function roleOf(world: SimulatedWorld, name: string): { login: boolean; password: number } {
  const role = world.roles.get(name)
  if (!role) throw new TerminalError("SqlRejected", `role ${name} does not exist (42704)`)
  return role
}

function secure(world: SimulatedWorld, name: string, tenant: TenantId): void {
  const found = world.databases.get(name)
  const isOurs = found?.marker?.fleet === FLEET && found.marker.tenant === tenant
  const isUsed = found?.schema !== "none"
  if (found && (found.marker ? !isOurs : isUsed)) throw new TerminalError("NameTaken", name)
  Object.assign(databaseOf(world, name, tenant, "secured"), {
    owner: tenant,
    marker: { fleet: FLEET, tenant },
  })
  for (const slot of Slot.options) {
    const role = fullName({ cell: cellOf(name), name: loginRole(tenant, slot) })
    if (!world.roles.has(role)) world.roles.set(role, { login: false, password: 0 })
  }
}

/** Who may be on a database: whoever knows the password of a login that may connect to it. */
const hasSessions = (world: SimulatedWorld, cell: string, { marker }: SimulatedDatabase): boolean =>
  marker !== null &&
  Slot.options
    .map((slot) => world.roles.get(fullName({ cell, name: loginRole(marker.tenant, slot) })))
    .some((role) => role?.login && world.known.has(role.password))

function rename(world: SimulatedWorld, from: string, to: string, tenant: TenantId): void {
  if (!world.databases.has(from) && world.databases.has(to)) return
  const database = databaseOf(world, from, tenant, "renamed")
  if (world.databases.has(to)) throw new TerminalError("NameTaken", `database ${to} exists (42P04)`)
  if (hasSessions(world, cellOf(from), database))
    throw new TransientError("NeonRejected", `${from} is in use (55006)`)
  world.databases.delete(from)
  world.databases.set(to, database)
}

function drop(world: SimulatedWorld, name: string, tenant: TenantId): void {
  const found = world.databases.get(name)
  if (found?.marker?.fleet !== FLEET || found.marker.tenant !== tenant)
    throw new TerminalError("MarkerMissing", name)
  const retiredAt = world.secrets.get(secretName(tenant))?.tags["retired-at"] ?? ""
  const isAllowed = world.approved.has(`purge ${tenant}`)
  for (const since of isAllowed ? [] : [Date.parse(retiredAt), world.lastServed.get(tenant) ?? 0]) {
    const age = world.now - since
    if (!(age >= world.gracePeriod)) world.harm.push(`${name} was dropped after ${age} ms`)
  }
  databaseOf(world, name, tenant, "dropped")
  world.databases.delete(name)
}

const touch = (world: SimulatedWorld, tenant: TenantId, { tags }: SimulatedSecret, deed: string) => {
  if (tags["fleet"] !== FLEET) world.harm.push(`the foreign secret ${secretName(tenant)} was ${deed}`)
}

function setSecret(
  world: SimulatedWorld,
  entry: LedgerEntry,
  value: SimulatedSecret["value"],
  enabled: boolean,
): void {
  const name = secretName(entry.id)
  const found = world.secrets.get(name)
  if (found) touch(world, entry.id, found, "overwritten")
  world.deletedSecrets.delete(name)
  world.secrets.set(name, { enabled, tags: toTags(entry), value, changedAt: world.now })
}

/** A person's decision, good for an hour. */
export function allow(world: SimulatedWorld, entry: LedgerEntry, verb: ApprovalVerb): void {
  world.approved.add(`${verb} ${entry.id}`)
  annotateSecret(world, {
    ...entry,
    approval: { verb, until: new Date(world.now + 3_600_000).toISOString() },
  })
}

function tagSecret(world: SimulatedWorld, entry: LedgerEntry, enabled = entry.state === "active"): void {
  const found = world.secrets.get(secretName(entry.id))
  if (!found) throw new TerminalError("VaultRejected", "404 SecretNotFound")
  touch(world, entry.id, found, "tagged")
  world.secrets.set(secretName(entry.id), { ...found, enabled, tags: toTags(entry), changedAt: world.now })
}

/** As a person's command does it: a secret that is disabled stays so. */
export const annotateSecret = (world: SimulatedWorld, entry: LedgerEntry): void =>
  tagSecret(world, entry, world.secrets.get(secretName(entry.id))?.enabled)

/** The database that whoever reads this secret now gets to; undefined where nothing lets them in. */
export function served(world: SimulatedWorld, id: TenantId): SimulatedDatabase | undefined {
  const secret = world.secrets.get(secretName(id))
  if (!secret?.enabled || typeof secret.value === "string") return undefined
  const { cell, database, role, password } = secret.value
  const login = world.roles.get(fullName({ cell, name: role }))
  const found = world.databases.get(fullName({ cell, name: database }))
  const mayConnect = found?.marker?.fleet === FLEET && found.marker.tenant === id
  return login?.login && login.password === password && mayConnect ? found : undefined
}

const idsOf = ({ secrets }: SimulatedWorld) =>
  [...secrets.keys()].map((name) => name.replace(/^tenant-/, "") as TenantId)

function noteServed(world: SimulatedWorld): void {
  for (const id of idsOf(world)) if (served(world, id)) world.lastServed.set(id, world.now)
}

function lookForHarm(world: SimulatedWorld): void {
  for (const id of idsOf(world)) {
    const database = served(world, id)
    if (database && database.owner !== id) world.harm.push(`${id} is served the data of ${database.owner}`)
    if (database?.schema === "none") world.harm.push(`${id} is served a database without a schema`)
  }
  for (const host of sharedHosts(world)) world.harm.push(`${host} leads to two tenants`)
  for (const name of sharedNames(world)) world.harm.push(`the name ${name} leads to two tenants`)
}

/** Hosts that lead to the tenant, as the API reads its tags. */
export const hostsLeadingTo = ({ tags }: SimulatedSecret): string[] =>
  ["retired", "purging"].includes(tags["state"] ?? "") ? [] : (tags["hosts"]?.split(" ") ?? [])

/** Names that surely are more than one tenant's, so that they lead to none. */
export function sharedNames({ secrets }: SimulatedWorld): string[] {
  const settled = [...secrets].flatMap(([name, { tags }]) => fromTags(name, tags) ?? []).filter(isSettled)
  const all = settled.filter(({ fleet }) => fleet === FLEET).map(({ name }) => nameKey(name))
  return all.filter((name, n) => all.indexOf(name) < n)
}

/** Hosts that lead to more than one tenant. */
export function sharedHosts({ secrets }: SimulatedWorld): string[] {
  const all = [...secrets.values()].flatMap(hostsLeadingTo)
  return all.filter((host, n) => all.indexOf(host) < n)
}
