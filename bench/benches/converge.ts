/** New tenants from their files to being served, with operations of Neon's that take no time. */
import { mkdir, writeFile } from "node:fs/promises"
import path from "node:path"
import { randomUUID } from "node:crypto"
import type { Bench } from "../bench.ts"
import { startChild } from "../child.ts"
import { dropAll, makeByHand } from "../converge/by-hand.ts"
import { startSystems } from "../converge/systems.ts"
import { writeSettings } from "../noop/fleet.ts"
import { MIGRATIONS } from "../sql.ts"

const AT_ONCE = 8
const RATE = "tenants a second"

export const bench: Bench = {
  name: "converge",
  summary: "new tenants: from their files to the secrets by which the API serves them",
  rounds: { full: 15, quick: 1 },
  // A round's databases, and Postgres's log.
  inMemory: { full: 3e9, quick: 2e9 },
  async *scenes({ isQuick, folder, place }) {
    const count = isQuick ? 8 : 50
    const systems = await startSystems(folder)
    const { superuserUri } = systems.postgres
    const passes = startChild(path.join(import.meta.dirname, "../converge/passes.ts"), [], {
      ...systems.environment(),
      MIGRATIONS_DIR: MIGRATIONS,
      SQL_CONCURRENCY: String(AT_ONCE),
    })
    const ours = async (fleet: string): Promise<number> =>
      passes.ask(await writeFiles(path.join(folder, fleet), fleet, count))
    const byHand = (atOnce: number) => () =>
      makeByHand(
        superuserUri,
        Array.from({ length: count }, (_, n) => `hand-${n}`),
        atOnce,
      )
    let turns = 0
    const measured = (make: () => Promise<number>) => async () => {
      await dropAll(superuserUri)
      await systems.emptyVault()
      return { [RATE]: count / ((await make()) / 1000) }
    }
    try {
      yield {
        name: `${count} new tenants, databases ${place}`,
        contestants: [
          { name: "limit", role: "limit", measure: measured(byHand(AT_ONCE)) },
          { name: "tenantry", role: "ours", measure: measured(() => ours(`bench-${turns++}`)) },
          { name: "a loop, one by one", role: "peer", measure: measured(byHand(1)) },
        ],
        metrics: [{ name: RATE, digits: 1, isCompared: true }],
        anchor: "limit",
        warmups: isQuick ? 0 : 1,
        targets: [{ metric: RATE, of: "tenantry", against: "limit", atLeast: 0.6 }],
      }
    } finally {
      await passes.close()
      await systems.close()
    }
  },
}

/** A fleet of new tenants below `folder`. Returns the folder. */
async function writeFiles(folder: string, fleet: string, count: number): Promise<string> {
  await mkdir(path.join(folder, "tenants"), { recursive: true })
  await writeSettings(folder, fleet)
  for (let n = 0; n < count; n++)
    await writeFile(path.join(folder, "tenants", `${n}.yaml`), `id: ${randomUUID()}\nname: ${fleet}-${n}\n`)
  return folder
}
