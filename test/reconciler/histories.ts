/** Random lives of a small fleet: files edited, systems disturbed, passes cut short. */
import fc from "fast-check"
import { ApprovalVerb, fromTags } from "../../reconciler/ledger.ts"
import { secretName, type Tenant, type TenantId } from "../../reconciler/tenant.ts"
import { type Course, type Files, planPass, readable, runPass, type Rules, RULES } from "./passes.ts"
import {
  addForeignDatabase,
  allow,
  annotateSecret,
  cellOf,
  CELLS,
  emptyWorld,
  sharedHosts,
  sharedNames,
  type SimulatedSecret,
  type SimulatedWorld,
} from "./simulation.ts"

export const IDS = [1, 2, 3, 4, 5].map((n) => `${n}0000000-0000-4000-8000-00000000000${n}` as TenantId)
/** Its file is always there, so that an empty folder is not what a history is about. */
const ANCHOR = IDS[0]!
const HOSTS = ["one.example", "two.example", "three.example"]
export const NAMES = ["Ada", "Bob", "Cleo", "Dan", "Eve", "Fay"]

/** Every other tenant starts with rows. */
const seedOf = (id: TenantId) => (IDS.indexOf(id) % 2 === 0 ? { seed: "demo" } : {})

/** Something that a person does, or that happens, between two passes. */
export type Event =
  | { kind: "declare"; id: TenantId; name: string }
  | { kind: "remove"; id: TenantId }
  | { kind: "cycle"; ids: readonly TenantId[] }
  | { kind: "migrations" }
  | { kind: "days"; days: number }
  | { kind: "secret lost"; id: TenantId; soft: boolean }
  | { kind: "vault lost"; soft: boolean }
  | { kind: "tags edited"; id: TenantId; tags: Record<string, string | undefined> }
  | { kind: "secret disabled"; id: TenantId }
  | { kind: "foreign database"; place: string; fleet: string | undefined }
  | { kind: "hosts"; id: TenantId; hosts: readonly string[] }
  | { kind: "suspended"; id: TenantId; is: boolean }
  | { kind: "protected"; id: TenantId; is: boolean }
  | { kind: "approve"; id: TenantId; verb: ApprovalVerb }
  | { kind: "rotate"; id: TenantId }
  | { kind: "database lost"; id: TenantId }

export type Episode = { events: readonly Event[]; course: Course }

const id = fc.constantFrom(...IDS)
const name = fc.constantFrom(...NAMES)

export const course: fc.Arbitrary<Course> = fc.record({
  turns: fc.array(fc.nat({ max: 20 }), { maxLength: 12 }),
  faults: fc
    .array(fc.tuple(fc.nat({ max: 30 }), fc.constantFrom("not done" as const, "done" as const)), {
      maxLength: 2,
    })
    .map((faults) => new Map(faults)),
  steps: fc.oneof(
    { weight: 4, arbitrary: fc.nat({ max: 40 }) },
    { weight: 1, arbitrary: fc.constant(Infinity) },
  ),
})

const declare = fc.record({ kind: fc.constant("declare"), id, name })
const remove = fc.record({ kind: fc.constant("remove"), id })
const cycle = fc.record({
  kind: fc.constant("cycle"),
  ids: fc.uniqueArray(id, { minLength: 2, maxLength: 4 }),
})
const migrations = fc.constant({ kind: "migrations" } as const)
const days = fc.record({ kind: fc.constant("days"), days: fc.constantFrom(1, 31) })

/** Edits of the files, and time. Swaps and longer cycles come as often as everything else together. */
export const edit: fc.Arbitrary<Event> = fc.oneof(
  { weight: 4, arbitrary: declare },
  { weight: 2, arbitrary: remove },
  { weight: 6, arbitrary: cycle },
  { weight: 1, arbitrary: migrations },
  { weight: 1, arbitrary: days },
)

export const loss: fc.Arbitrary<Event> = fc.oneof(
  fc.record({ kind: fc.constant("secret lost"), id, soft: fc.boolean() }),
  fc.record({ kind: fc.constant("vault lost"), soft: fc.boolean() }),
)

/** What a person's hand may do to an entry, short of saying that a schema is there which is not. */
export const tampering: fc.Arbitrary<Event> = fc.oneof(
  fc.record({ kind: fc.constant("secret disabled"), id }),
  fc.record({
    kind: fc.constant("tags edited"),
    id,
    tags: fc.oneof(
      fc.record({ tenant: name }),
      fc.record({ cell: fc.constantFrom("another", ...CELLS) }),
      fc.record({ database: name.map((text) => `products-${text}`) }),
      fc.constant({ schema: "none" }),
      fc.constant({ state: "reserved" }),
      fc.constant({ state: "retired", "retired-at": "2028-01-01T00:00:00Z" }),
      fc.constant({ state: "active" }),
      fc.constant({ state: "purging" }),
      fc.constant({ "retired-at": undefined }),
      fc.constant({ transition: "renaming" }),
      fc.constant({ hosts: "nobodys.example one.example.evil.example" }),
      fc.constant({ hosts: undefined }),
    ),
  }),
)

/** A file names hosts; where others named them, they change hands. */
export const hosting: fc.Arbitrary<Event> = fc.record({
  kind: fc.constant("hosts"),
  id,
  hosts: fc.subarray(HOSTS),
})

const suspended = fc.record({ kind: fc.constant("suspended"), id, is: fc.boolean() })
const protect = fc.record({ kind: fc.constant("protected"), id, is: fc.boolean() })
const rotate = fc.record({ kind: fc.constant("rotate"), id })
const approve = fc.record({
  kind: fc.constant("approve"),
  id,
  verb: fc.constantFrom(...ApprovalVerb.options),
})

/** What a person asks for, beyond names and files that come and go. */
export const decision: fc.Arbitrary<Event> = fc.oneof(suspended, protect, rotate, approve)

export const databaseLost: fc.Arbitrary<Event> = fc.record({ kind: fc.constant("database lost"), id })

export const foreign: fc.Arbitrary<Event> = fc.record({
  kind: fc.constant("foreign database"),
  place: fc.tuple(fc.constantFrom(...CELLS), name).map(([cell, text]) => `${cell}/products-${text}`),
  fleet: fc.constantFrom(undefined, "another-fleet"),
})

/** Episodes whose events are drawn from `events`; each ends in a pass that is cut short. */
export const history = (...events: fc.Arbitrary<Event>[]): fc.Arbitrary<Episode[]> =>
  fc.array(fc.record({ events: fc.array(fc.oneof(...events), { maxLength: 3 }), course }), {
    minLength: 1,
    maxLength: 5,
  })

export type Life = { world: SimulatedWorld; files: Files }

const START: readonly Tenant[] = IDS.slice(0, 4).map((each, n) => ({
  id: each,
  name: NAMES[n]!,
  ...seedOf(each),
}))

/**
 * A fleet of four whose files are written and for which nothing is done yet. Every second length of a history is lived in
 * two cells; in a single one names meet more often.
 */
export const beginning = ({ length }: readonly Episode[]): Life => ({
  world: emptyWorld(CELLS.slice(0, 1 + (length % 2))),
  files: readable(START),
})

/** Lives through the episodes, pass by pass. */
export function live(life: Life, episodes: readonly Episode[], rules: Rules = RULES): Life {
  for (const episode of episodes) {
    for (const event of episode.events) befall(life, event)
    runPass(life.world, planPass(life.world, life.files, rules), episode.course)
  }
  return life
}

/** While a tenant is made or purged only the ledger knows what goes on: nobody can stand in for it then. */
const isUnderWay = (secret: SimulatedSecret | undefined) =>
  ["reserved", "purging"].includes(secret?.tags["state"] ?? "") || secret?.tags["schema"] === "none"

/** A name that a reservation already announces: whoever takes it then is met by `secure`, not by the plan. */
const isPromised = ({ secrets }: SimulatedWorld, place: string) =>
  secrets
    .values()
    .some(({ tags }) => tags["state"] === "reserved" && `${tags["cell"]}/${tags["database"]}` === place)

/** Lets one event happen. */
export function befall(life: Life, event: Event): void {
  const { world } = life
  const tenants = new Map(life.files.tenants.map((tenant) => [tenant.id, tenant]))
  const put = (tenant: TenantId, text: string) =>
    tenants.set(tenant, { ...tenants.get(tenant), id: tenant, name: text, ...seedOf(tenant) })
  const secret = "id" in event ? world.secrets.get(secretName(event.id)) : undefined
  const entry = "id" in event ? fromTags(secretName(event.id), secret?.tags) : undefined
  switch (event.kind) {
    case "declare": {
      const rival = tenants.values().find((tenant) => tenant.name === event.name)
      const former = tenants.get(event.id)?.name
      if (rival && rival.id !== event.id) {
        // Two files never have one name: they swap, or the newcomer's file replaces the other's.
        if (former) put(rival.id, former)
        else if (rival.id === ANCHOR) return
        else tenants.delete(rival.id)
      }
      put(event.id, event.name)
      break
    }
    case "remove":
      if (event.id !== ANCHOR) tenants.delete(event.id)
      break
    case "cycle": {
      const members = event.ids.filter((each) => tenants.has(each))
      const names = members.map((each) => tenants.get(each)!.name)
      members.forEach((each, n) => put(each, names[(n + 1) % names.length]!))
      break
    }
    case "migrations":
      world.version = `${String(Number(world.version.slice(0, 4)) + 1).padStart(4, "0")}:aa`
      break
    case "days":
      world.now += event.days * 86_400_000
      break
    case "secret lost":
      if (isUnderWay(secret)) return
      if (secret && event.soft) world.deletedSecrets.set(secretName(event.id), secret)
      world.secrets.delete(secretName(event.id))
      break
    case "vault lost":
      if (world.secrets.values().some(isUnderWay)) return
      for (const [key, each] of event.soft ? world.secrets : []) world.deletedSecrets.set(key, each)
      world.secrets.clear()
      break
    case "hosts":
      if (!tenants.has(event.id)) return
      for (const [each, tenant] of tenants) {
        const kept = tenant.hosts?.filter((host) => !event.hosts.includes(host))
        tenants.set(each, { ...tenant, hosts: each === event.id ? [...event.hosts] : kept })
      }
      break
    case "tags edited": {
      if (isUnderWay(secret)) return
      const before = { ...secret?.tags }
      // A lie about a change that is half done cannot be told from the truth.
      if (event.tags["state"] === "active" && secret?.enabled) return
      for (const [key, text] of secret ? Object.entries(event.tags) : []) {
        if (text === undefined) delete secret!.tags[key]
        else secret!.tags[key] = text
      }
      // Who makes a retired tenant look served may give a host or a name to two; that no plan can undo before it happens.
      if (sharedHosts(world).length > 0 || sharedNames(world).length > 0) secret!.tags = before
      break
    }
    case "secret disabled":
      if (secret) secret.enabled = false
      break
    case "suspended":
    case "protected":
      if (tenants.has(event.id)) tenants.set(event.id, { ...tenants.get(event.id)!, [event.kind]: event.is })
      break
    case "approve":
      // As the command does: what is being purged cannot be allowed or forbidden any more.
      if (entry && entry.state !== "purging") allow(world, entry, event.verb)
      break
    case "rotate":
      // As the command does: it refuses whoever is not served, or is in the middle of something.
      if (entry?.state !== "active" || entry.transition) return
      annotateSecret(world, { ...entry, transition: "rotating" })
      break
    case "database lost":
      for (const [each, { owner }] of world.databases) if (owner === event.id) world.databases.delete(each)
      break
    case "foreign database":
      if (
        world.cells.includes(cellOf(event.place)) &&
        !world.databases.has(event.place) &&
        !isPromised(world, event.place)
      ) {
        const marker = event.fleet ? { fleet: event.fleet, tenant: IDS[4]! } : null
        addForeignDatabase(world, event.place, marker)
      }
      break
  }
  life.files = { ...life.files, tenants: [...tenants.values()] }
}
