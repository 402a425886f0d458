/** Databases a second: five steps to each, and the question whether anything is pending, near and far. */
import path from "node:path"
import { removePostgres, startPostgres, type Postgres } from "../../local/postgres.ts"
import { alternately } from "../alternate.ts"
import type { Bench, Contestant, Scene, Target } from "../bench.ts"
import { startServing } from "../child.ts"
import { makeWays, type Way } from "../migrate/contestants.ts"
import { AT_ONCE, forAll, makeEmpty, settle, uriOf } from "../migrate/databases.ts"

const RATE = "databases a second"
const METRICS = [{ name: RATE, digits: 1, isCompared: true }]
/** Milliseconds that a round trip to a Postgres in the same region takes. */
const FAR = 5

export const bench: Bench = {
  name: "migrate",
  summary: `five steps to each of many databases, ${AT_ONCE} at once, and asking each whether anything is pending`,
  rounds: { full: 5, quick: 1 },
  // The databases of all contestants, and Postgres's log.
  inMemory: { full: 11e9, quick: 2e9 },
  async *scenes({ isQuick, folder, place }) {
    const count = isQuick ? 16 : 200
    const directory = path.join(folder, "postgres")
    const postgres = await startPostgres({ directory, settings: { autovacuum: "off" } })
    let relay: Awaited<ReturnType<typeof startServing>> | undefined
    try {
      relay = await startServing(path.join(import.meta.dirname, "../migrate/relay.ts"), [
        String(postgres.port),
        String(FAR),
      ])
      const ways = await makeWays(folder)
      const near = [`near, ${place}`, undefined] as const
      const far = [`${FAR} ms away, ${place}`, Number(relay.said)] as const
      for (const [where, port] of isQuick ? [near] : [near, far]) {
        yield applying({ ways, postgres, count, where, port })
        yield checking({ ways, postgres, count, where, port })
      }
    } finally {
      relay?.close()
      await postgres.stop()
      await removePostgres(directory)
    }
  },
}

type Place = { ways: Way[]; postgres: Postgres; count: number; where: string; port: number | undefined }

const namesOf = (way: Way, count: number) =>
  Array.from({ length: count }, (_, n) => `${way.name.replaceAll("-", "_")}_${n}`)

const hasDbmate = ({ ways }: Place) => ways.some(({ name }) => name === "dbmate")
const missingIn = (place: Place) =>
  hasDbmate(place)
    ? []
    : [
        `dbmate: bench/package.json has none for ${process.platform} on ${process.arch}, or npm ci left it out`,
      ]

function applying(place: Place): Scene {
  const { ways, postgres, count, where } = place
  const names = ways.flatMap((way) => namesOf(way, count))
  return {
    name: `apply to ${count} databases, ${where}`,
    contestants: inTurns(place, "apply", () => makeEmpty(postgres, names)),
    metrics: METRICS,
    anchor: "limit",
    targets: [
      target("limit", 0.9),
      target("node-pg-migrate", 1.1),
      target("knex", 1.5),
      ...(hasDbmate(place) ? [target("dbmate", 2)] : []),
    ],
    missing: missingIn(place),
  }
}

/** Of the databases that the scene before has left. */
function checking(place: Place): Scene {
  return {
    name: `ask ${place.count} databases, ${place.where}`,
    contestants: inTurns(place, "check", async () => {}),
    metrics: METRICS,
    anchor: "limit",
    targets: [target("limit", 0.9)],
    missing: missingIn(place),
  }
}

/** The ways take turns at a few of their databases each, and each goes first, second, and so on. */
function inTurns(
  { ways, postgres, count, port }: Place,
  step: "apply" | "check",
  prepare: () => Promise<void>,
): Contestant[] {
  const share = Math.max(AT_ONCE, Math.ceil(count / ways.length))
  const measureOf = alternately(async () => {
    await prepare()
    const seconds = new Map(ways.map((way) => [way, 0]))
    for (let start = 0, turn = 0; start < count; start += share, turn++) {
      for (const way of [...ways.slice(turn), ...ways.slice(0, turn)]) {
        const names = namesOf(way, count).slice(start, start + share)
        await settle(postgres)
        const taken = await forAll(names, (name) => way[step](uriOf(postgres, name, port)))
        seconds.set(way, seconds.get(way)! + taken)
      }
    }
    return Object.fromEntries(ways.map((way) => [way.name, { [RATE]: count / seconds.get(way)! }]))
  })
  return ways.map(({ name, role }) => ({ name, role, measure: measureOf(name) }))
}

const target = (against: string, atLeast: number): Target => ({
  metric: RATE,
  of: "tenantry",
  against,
  atLeast,
})
