/**
 * Load on several tenants while the real reconciler renames one and rotates its credential again and again, and while
 * Postgres is restarted. No request may fail, and each row that was written must be there once.
 *
 *     npm run soak:changes -- --renames 20 --rotations 20 --restarts 3
 */
import { randomUUID } from "node:crypto"
import { parseArgs } from "node:util"
import { eventually } from "../eventually.ts"
import { freePort } from "../free-port.ts"
import { type Load, startLoad, type Tally } from "./soak-load.ts"
import { query } from "./systems.ts"
import { type FleetWorld, startFleet } from "./world.ts"

type Options = {
  renames: number
  rotations: number
  restarts: number
  /** Of the API, such as RETRY_MS. */
  variables?: Record<string, string>
  print?: (line: string) => void
}

type Changed = Tally & { what: "rename" | "rotation" | "restart" | "nothing"; times: number }
export type ChangesSoaked = {
  /** By what was going on when the requests ended. */
  phases: Changed[]
  /** Answers that were no success, and the first few. */
  failed: number
  failures: string[]
  /** Rows that were asked for and are not there, or are there twice. */
  lost: number
  repeated: number
}

const SIDES = 4
/** Requests that are answered between two changes. */
const BETWEEN = 50

/** Runs it in a world of its own. The first of three tenants is the one that is changed. */
export async function soakChanges({
  print = () => {},
  variables = {},
  ...counts
}: Options): Promise<ChangesSoaked> {
  const world = await startFleet()
  try {
    const tenants = ["Alpha", "Bystander-1", "Bystander-2"].map((name) => ({
      id: randomUUID() as string,
      name,
    }))
    for (const tenant of tenants) await world.declare(tenant)
    const reconciler = world.start(["run"])
    for (const tenant of tenants) await settled(world, tenant, () => true)
    const url = await startApi(world, variables)
    const load = startLoad(
      url,
      tenants.map(({ id }) => id),
      SIDES,
    )
    const phases = await change(world, load, tenants[0]!, counts, print)
    await load.stop()
    if (!reconciler.isRunning())
      throw new Error(`the reconciler has ended:\n${reconciler.output().slice(-2000)}`)
    const failed = phases.reduce((sum, phase) => sum + phase.failed, 0)
    return { phases, failed, failures: load.failures, ...(await compare(world, load)) }
  } finally {
    await world.stop()
  }
}

/** The API as a process of its own, which ends with the world. */
async function startApi(world: FleetWorld, variables: Record<string, string>): Promise<string> {
  const port = await freePort()
  const api = world.startProgram("api/main.ts", [], {
    PATH: process.env["PATH"]!,
    ...world.vault.environment("api"),
    PORT: String(port),
    HOST: "127.0.0.1",
    AUTH: "off",
    RATE_PER_TENANT: "0",
    RATE_PER_CALLER: "0",
    ...variables,
  })
  await eventually("the API listens", () => {
    if (!api.output().includes("api is listening")) throw new Error(api.output())
  })
  return `http://127.0.0.1:${port}`
}

/** Does the changes in turn, each while requests are under way, and says how the requests fared. */
async function change(
  world: FleetWorld,
  load: Load,
  { id, name }: { id: string; name: string },
  counts: Record<"renames" | "rotations" | "restarts", number>,
  print: (line: string) => void,
): Promise<Changed[]> {
  let tenant = { id, name }
  const works = {
    rename: async (n: number) => {
      tenant = { id, name: `${name}-${n}` }
      await world.declare(tenant)
      await settled(world, tenant, () => true)
    },
    rotation: async () => {
      const before = await credential(world, id)
      const { code, output } = await world.run(["rotate", id])
      if (code !== 0) throw new Error(output)
      await settled(world, tenant, ({ username }) => username !== before.username)
    },
    restart: () => world.restartPostgres(),
  }
  const left = { rename: counts.renames, rotation: counts.rotations, restart: counts.restarts }
  const phases: Record<Changed["what"], Changed> = {
    rename: nothingYet("rename"),
    rotation: nothingYet("rotation"),
    restart: nothingYet("restart"),
    nothing: nothingYet("nothing"),
  }
  const rest = async () => {
    const goal = load.answered() + BETWEEN
    await eventually("requests are answered", () => {
      if (load.answered() < goal) throw new Error(load.failures.join("\n"))
    })
    add(phases.nothing, await load.take())
  }
  while (left.rename + left.rotation + left.restart > 0) {
    for (const what of ["rename", "rotation", "restart"] as const) {
      if (left[what] === 0) continue
      left[what]--
      await rest()
      await works[what](left[what])
      const tally = await load.take()
      add(phases[what], tally)
      print(`${what} ${phases[what].times}: ${told(tally)}`)
    }
  }
  await rest()
  return Object.values(phases).filter(({ times }) => times > 0)
}

const nothingYet = (what: Changed["what"]): Changed => ({
  what,
  times: 0,
  requests: 0,
  failed: 0,
  longest: 0,
})

function add(phase: Changed, { requests, failed, longest }: Tally): void {
  phase.times++
  phase.requests += requests
  phase.failed += failed
  phase.longest = Math.max(phase.longest, longest)
}

const told = ({ requests, failed, longest }: Tally) =>
  `${failed} of ${requests} requests failed, longest wait ${Math.round(longest)} ms`

const credential = async (world: FleetWorld, id: string) => {
  const { value, properties } = await world.secrets.getSecret(`tenant-${id}`)
  const { username, pathname } = new URL(value!)
  return {
    uri: value!,
    username,
    database: decodeURIComponent(pathname.slice(1)),
    tags: properties.tags ?? {},
  }
}
type Held = Awaited<ReturnType<typeof credential>>

/** Waits until the reconciler has nothing more to do for the tenant. */
const settled = (
  world: FleetWorld,
  { id, name }: { id: string; name: string },
  isDone: (held: Held) => boolean,
) =>
  eventually(`${name} is served`, async () => {
    const held = await credential(world, id)
    const { state, transition } = held.tags
    const isSettled = state === "active" && transition === undefined && held.database === `products-${name}`
    if (!isSettled || !isDone(held)) throw new Error(JSON.stringify(held.tags))
  })

/** The rows that are there, held against those that were asked for. */
async function compare(world: FleetWorld, load: Load): Promise<{ lost: number; repeated: number }> {
  let [lost, repeated] = [0, 0]
  for (const [id, names] of load.written) {
    const { uri } = await credential(world, id)
    const rows = await query<{ name: string; n: number }>(
      uri,
      "select name, count(*)::int as n from products group by name",
    )
    const there = new Map(rows.map(({ name, n }) => [name, n]))
    lost += names.filter((name) => !there.has(name)).length
    repeated += rows.filter(({ n }) => n > 1).length
  }
  return { lost, repeated }
}

if (import.meta.main) {
  const number = { type: "string" } as const
  const { values } = parseArgs({
    options: {
      renames: { ...number, default: "20" },
      rotations: { ...number, default: "20" },
      restarts: { ...number, default: "3" },
    },
  })
  const { phases, failed, failures, lost, repeated } = await soakChanges({
    renames: Number(values.renames),
    rotations: Number(values.rotations),
    restarts: Number(values.restarts),
    print: (line) => process.stderr.write(`${line}\n`),
  })
  for (const failure of failures) process.stdout.write(`${failure}\n`)
  for (const phase of phases) process.stdout.write(`${phase.times} x ${phase.what}: ${told(phase)}\n`)
  process.stdout.write(`${failed} failed requests, ${lost} rows lost, ${repeated} rows twice\n`)
  if (failed + lost + repeated > 0) process.exitCode = 1
}
