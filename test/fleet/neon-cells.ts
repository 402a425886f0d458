/** Every fault of the Neon stand-in at every kind of call that the reconciler makes of it. */
import type { Fault, FaultRoute } from "../../local/neon/faults.ts"
import type { ChangeName } from "./changes.ts"
import type { Cell } from "./fault-cells.ts"
import type { FleetWorld } from "./world.ts"

type Call = { call: string; route: FaultRoute; change: ChangeName; isMutation: boolean }

const LIST = "listProjectBranchDatabases"
const CREATE = "createProjectBranchDatabase"

const CALLS: readonly Call[] = [
  { call: "list", route: LIST, change: "rename", isMutation: false },
  { call: "create", route: CREATE, change: "create", isMutation: true },
  { call: "rename", route: "updateProjectBranchDatabase", change: "rename", isMutation: true },
  { call: "delete", route: "deleteProjectBranchDatabase", change: "purge", isMutation: true },
  { call: "connection uri", route: "getConnectionURI", change: "rename", isMutation: false },
  { call: "operation", route: "getProjectOperation", change: "rename", isMutation: false },
  { call: "operations", route: "listProjectOperations", change: "rename", isMutation: false },
]

/** Past the time that the client waits in these tests; milliseconds. */
const TOO_LATE = 1500

type Kind = {
  fault: string
  of: Fault
  /** Which calls can meet it: all, those that change something, or some by name. */
  calls: "all" | "mutations" | readonly string[]
  /** Whether the caller cannot know if the call was acted on, and whether it was. */
  lost?: "acted" | "not acted"
  person?: NonNullable<Cell["person"]>
}

const clear = ({ neon }: FleetWorld) => neon.faults.clear()
const stuck = { reason: /OperationStuck: .*is still running/, mend: clear }

const KINDS: readonly Kind[] = [
  { fault: "423", of: { kind: "locked" }, calls: "all" },
  { fault: "429", of: { kind: "rate-limited" }, calls: "all" },
  { fault: "429 with Retry-After", of: { kind: "rate-limited", retryAfter: 1 }, calls: "all" },
  { fault: "503", of: { kind: "unavailable" }, calls: "all" },
  { fault: "502 as HTML", of: { kind: "bad-gateway" }, calls: "all", lost: "not acted" },
  {
    fault: "502 as HTML, acted",
    of: { kind: "bad-gateway", acted: true },
    calls: "mutations",
    lost: "acted",
  },
  { fault: "524 as HTML", of: { kind: "gateway-timeout" }, calls: "all", lost: "not acted" },
  {
    fault: "524 as HTML, acted",
    of: { kind: "gateway-timeout", acted: true },
    calls: "mutations",
    lost: "acted",
  },
  { fault: "late answer", of: { kind: "delay", delayMs: 300 }, calls: "all" },
  { fault: "time-out, acts later", of: { kind: "delay", delayMs: TOO_LATE }, calls: "all" },
  {
    fault: "time-out, acted",
    of: { kind: "delay", delayMs: TOO_LATE, acted: true },
    calls: "mutations",
    lost: "acted",
  },
  { fault: "cut before acting", of: { kind: "drop-before" }, calls: "all", lost: "not acted" },
  { fault: "cut after acting", of: { kind: "drop-after" }, calls: "all", lost: "acted" },
  { fault: "truncated JSON", of: { kind: "truncated-json" }, calls: "all", lost: "acted" },
  { fault: "404 for what is there", of: { kind: "not-found" }, calls: "all" },
  { fault: "404 though deleted", of: { kind: "not-found", acted: true }, calls: ["delete"], lost: "acted" },
  { fault: "204 without operations", of: { kind: "no-content" }, calls: ["delete"] },
  { fault: "operation fails", of: { kind: "operation-failed" }, calls: "mutations" },
  { fault: "operation fails, acted", of: { kind: "operation-failed", acted: true }, calls: "mutations" },
  { fault: "operation stuck", of: { kind: "operation-stuck" }, calls: "mutations", person: stuck },
  {
    fault: "operation stuck, acted",
    of: { kind: "operation-stuck", acted: true },
    calls: "mutations",
    person: stuck,
  },
  { fault: "operation errs first", of: { kind: "operation-error" }, calls: "mutations" },
  { fault: "operation cancelled", of: { kind: "operation-cancelled" }, calls: "mutations" },
  { fault: "Neon's own lock", of: { kind: "background-lock", lockMs: 400 }, calls: "mutations" },
  { fault: "stale list", of: { kind: "stale-list", times: 3 }, calls: ["list"] },
  { fault: "half a list", of: { kind: "truncated-list", times: 3 }, calls: ["list"] },
  { fault: "empty list", of: { kind: "truncated-list", keep: 0, times: 3 }, calls: ["list"] },
  { fault: "databases' ids replaced", of: { kind: "ids-replaced" }, calls: "all" },
  {
    fault: "limit reached",
    of: { kind: "low-limit", limit: 1 },
    calls: ["create"],
    person: {
      reason: /NeonRejected: could not create the database .*a branch holds at most 1 databases/,
      mend: clear,
    },
  },
  {
    fault: "key revoked",
    of: { kind: "key-revoked" },
    calls: "all",
    person: { reason: /NeonUnauthorized: .*check NEON_API_KEY/, mend: clear },
  },
]

/** One line of the matrix for which its call and the world matter. */
const branchReplaced = (call: Call): Omit<Cell, "quick"> => {
  let branchId = ""
  return {
    fault: "branch replaced",
    ...call,
    arm: (world) => {
      branchId = world.neon.branchId
      arm(world, call, { kind: "branch-replaced", branchId: "br-restored" })
    },
    person: {
      reason: /NeonNotFound: .*check NEON_PROJECT_ID and NEON_BRANCH_ID/,
      mend: ({ neon }) => neon.faults.add({ kind: "branch-replaced", branchId }),
    },
  }
}

/** A database that SQL made, named as ours, stays as it is; one that SQL dropped is nobody's loss. */
const FOUND = "products-Found"
const madeBySql = (call: Call): Omit<Cell, "quick"> => ({
  fault: "made by SQL",
  ...call,
  arm: (world) => arm(world, call, { kind: "made-by-sql", name: FOUND }),
  after: async ({ sql }) => {
    const [found] = await sql<{ marker: string | null }>(
      "postgres",
      "select shobj_description(oid, 'pg_database') as marker from pg_database where datname = $1",
      [FOUND],
    )
    await sql("postgres", `drop database if exists "${FOUND}"`)
    if (!found) return [`${FOUND} is gone`]
    return found.marker === null ? [] : [`${FOUND} was marked: ${found.marker}`]
  },
})
const droppedBySql = (call: Call): Omit<Cell, "quick"> => ({
  fault: "dropped by SQL",
  ...call,
  arm: async (world) => {
    await world.sql("postgres", `create database "${FOUND}"`)
    arm(world, call, { kind: "dropped-by-sql", name: FOUND })
  },
})

/** The name that a new tenant wants is somebody else's from just before the call. */
const wantedByOthers: Omit<Cell, "quick"> = {
  fault: "wanted name made by SQL",
  call: "create",
  change: "create",
  arm: ({ neon }, subject) =>
    neon.faults.add({ kind: "made-by-sql", name: `products-${subject!.name}`, route: CREATE }),
  person: {
    reason: /NameTaken: could not create the database .* not by us/,
    mend: ({ sql }, subject) => sql("postgres", `drop database "products-${subject!.name}"`),
  },
}

/** The tenant's own database is gone; it stays so until a person gives its rows up. */
const lostToOthers: Omit<Cell, "quick"> = {
  fault: "own database dropped by SQL",
  call: "list",
  change: "suspend",
  arm: ({ neon }, subject) =>
    neon.faults.add({ kind: "dropped-by-sql", name: `products-${subject!.name}`, route: LIST }),
  person: {
    reason: /DatabaseMissing: .*approve \S+ recreate/,
    mend: async (world, subject) => {
      world.giveUp(subject!.id)
      await world.run(["approve", subject!.id, "recreate", "--yes", subject!.name])
    },
  },
}

/** The list of operations is asked for only after a lost answer. */
function arm({ neon }: FleetWorld, { call, route }: Call, fault: Fault): void {
  neon.faults.add({ ...fault, route })
  if (call === "operations") neon.faults.add({ kind: "drop-after", route: "updateProjectBranchDatabase" })
}

const cellOf = ({ fault, of, lost, person }: Kind, call: Call): Omit<Cell, "quick"> => ({
  fault,
  ...call,
  arm: (world) => arm(world, call, of),
  ...(lost && call.isMutation ? { lost: { route: call.route, acted: lost === "acted" } } : {}),
  ...(of.kind === "delay" && of.delayMs === TOO_LATE && call.isMutation ? { lateBy: TOO_LATE } : {}),
  ...(person ? { person } : {}),
})

const meets = ({ calls }: Kind, { call, isMutation }: Call) =>
  calls === "all" || (calls === "mutations" ? isMutation : calls.includes(call))

const ALL = [
  ...KINDS.flatMap((kind) => CALLS.filter((call) => meets(kind, call)).map((call) => cellOf(kind, call))),
  ...CALLS.flatMap((call) => [branchReplaced(call), madeBySql(call), droppedBySql(call)]),
  wantedByOthers,
  lostToOthers,
]

/** What differs little from another line, or waits long. */
const RARE: ReadonlySet<string> = new Set([
  "429 with Retry-After",
  "502 as HTML",
  "late answer",
  "databases' ids replaced",
  "524 as HTML",
  "524 as HTML, acted",
  "operation stuck, acted",
  "time-out, acted",
])

/** Each fault at one call, another one for each in turn, and the lost answer at all that change something. */
const isQuick = ({ fault, call, lost }: Omit<Cell, "quick">): boolean => {
  const kinds = [...new Set(ALL.map((cell) => cell.fault))]
  const met = ALL.filter((cell) => cell.fault === fault).map((cell) => cell.call)
  // A purge takes long to bring about, and some faults meet no other call.
  const calls = met.length > 1 ? met.filter((name) => name !== "delete") : met
  const isItsTurn = calls[kinds.indexOf(fault) % calls.length] === call
  return (isItsTurn && !RARE.has(fault)) || (fault === "cut after acting" && lost !== undefined)
}

export const NEON_CELLS: readonly Cell[] = ALL.map((cell) => ({ ...cell, quick: isQuick(cell) }))
