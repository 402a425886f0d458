/** `npm start` from nothing, and again on the data that it has left. */
import path from "node:path"
import type { Bench, Figures } from "../bench.ts"
import { resetWorld, type RunningWorld, startWorld } from "../latency/world.ts"

const PARTS = ["postgres", "neon api", "reconciler", "api"]

export const bench: Bench = {
  name: "start",
  summary: "npm start until it says that it is ready, with the three sample tenants",
  rounds: { full: 5, quick: 1 },
  async *scenes({ folder }) {
    const home = path.join(folder, "world")
    let world: RunningWorld | undefined
    const start = async (): Promise<Figures> => {
      world = await startWorld(home)
      const { said } = world
      const figures = secondsOf(said)
      await world.stop()
      world = undefined
      return figures
    }
    try {
      yield {
        name: "seconds until ready, and until each part is there",
        contestants: [
          {
            name: "from nothing",
            role: "ours",
            measure: async () => {
              await resetWorld(home)
              return start()
            },
          },
          // On what was left: the order of the turns sees to it that there is something.
          { name: "warm", role: "ours", measure: start },
        ],
        metrics: ["ready", ...PARTS].map((name) => ({ name, digits: 1 })),
        anchor: "from nothing",
        targets: [
          { metric: "ready", of: "from nothing", atMost: 25 },
          { metric: "ready", of: "warm", atMost: 10 },
        ],
      }
    } finally {
      await world?.stop()
      await resetWorld(home)
    }
  },
}

function secondsOf(said: RunningWorld["said"]): Figures {
  const at = (begin: string) => said.find(({ line }) => line.startsWith(begin))?.ms
  const pairs = [["ready", at("tenantry is ready")], ...PARTS.map((part) => [part, at(`${part} `)])] as [
    string,
    number?,
  ][]
  return Object.fromEntries(pairs.flatMap(([name, ms]) => (ms === undefined ? [] : [[name, ms / 1000]])))
}
