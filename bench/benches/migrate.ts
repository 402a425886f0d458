/** Databases a second: five steps to each, and the question whether anything is pending, near and far. */
import { fork } from "node:child_process"
import { once } from "node:events"
import path from "node:path"
import { removePostgres, startPostgres, type Postgres } from "../../local/postgres.ts"
import type { Bench, Contestant, Scene, Target } from "../bench.ts"
import { makeWays, type Way } from "../migrate/contestants.ts"
import { AT_ONCE, forAll, makeEmpty, uriOf } from "../migrate/databases.ts"

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
    const count = isQuick ? 12 : 200
    const directory = path.join(folder, "postgres")
    const postgres = await startPostgres({ directory, settings: { autovacuum: "off" } })
    const relay = fork(
      path.join(import.meta.dirname, "../migrate/relay.ts"),
      [String(postgres.port), String(FAR)],
      {
        stdio: ["ignore", "pipe", "inherit", "ipc"],
      },
    )
    try {
      const [said] = (await once(relay.stdout!, "data")) as [Buffer]
      const ways = await makeWays(folder)
      const near = [`near, ${place}`, undefined] as const
      const far = [`${FAR} ms away, ${place}`, Number(said)] as const
      for (const [where, port] of isQuick ? [near] : [near, far]) {
        const warmups = isQuick ? 0 : 1
        yield { ...applying({ ways, postgres, count, where, port }), warmups }
        yield { ...checking({ ways, postgres, count, where, port }), warmups }
      }
    } finally {
      relay.disconnect()
      await postgres.stop()
      await removePostgres(directory)
    }
  },
}

type Place = { ways: Way[]; postgres: Postgres; count: number; where: string; port: number | undefined }

const namesOf = (way: Way, count: number) =>
  Array.from({ length: count }, (_, n) => `${way.name.replaceAll("-", "_")}_${n}`)

function applying({ ways, postgres, count, where, port }: Place): Scene {
  const measured = (way: Way): Contestant => ({
    ...way,
    measure: async () => {
      const names = namesOf(way, count)
      await makeEmpty(postgres, names)
      return { [RATE]: count / (await forAll(names, (name) => way.apply(uriOf(postgres, name, port)))) }
    },
  })
  return {
    name: `apply to ${count} databases, ${where}`,
    contestants: ways.map(measured),
    metrics: METRICS,
    anchor: "limit",
    targets: [target("limit", 0.9), target("node-pg-migrate", 1.1), target("knex", 1.5), target("dbmate", 2)],
  }
}

/** Of the databases that the scene before has left. */
function checking({ ways, postgres, count, where, port }: Place): Scene {
  const measured = (way: Way): Contestant => ({
    ...way,
    measure: async () => {
      const names = namesOf(way, count)
      return { [RATE]: count / (await forAll(names, (name) => way.check(uriOf(postgres, name, port)))) }
    },
  })
  return {
    name: `ask ${count} databases, ${where}`,
    contestants: ways.map(measured),
    metrics: METRICS,
    anchor: "limit",
    targets: [target("limit", 0.9)],
  }
}

const target = (against: string, atLeast: number): Target => ({
  metric: RATE,
  of: "tenantry",
  against,
  atLeast,
})
