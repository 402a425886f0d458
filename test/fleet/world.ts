/** One fleet in a world of its own: files that a test edits, systems that are real, and the real reconciler. */
import { cp, mkdir, readdir, rm, writeFile } from "node:fs/promises"
import path from "node:path"
import { getCACertificates, setDefaultCACertificates } from "node:tls"
import { readFileSync } from "node:fs"
import { stringify } from "yaml"
import { readConfig } from "../../reconciler/config.ts"
import { reconcile } from "../../reconciler/reconcile.ts"
import { openWorld } from "../../reconciler/world.ts"
import { COMPILED } from "../compiled.ts"
import { type Command, type Ended, startCommand } from "../command.ts"
import { eventually } from "../eventually.ts"
import { emptySystems } from "./empty.ts"
import { fingerprint, plantStrangers } from "./strangers.ts"
import { query, startSystems, type SystemsOptions } from "./systems.ts"

const REPOSITORY = path.resolve(import.meta.dirname, "../..")

/** What a tenant's file says. */
export type Declaration = {
  id: string
  name: string
  seed?: "demo"
  suspended?: boolean
  protected?: boolean
  hosts?: string[]
  cell?: string
}

/** What fleet.yaml says. */
const FLEET = {
  fleet: "proof",
  deletion: "retire",
  gracePeriodDays: 30,
  maxRemovals: 100,
  maxRemovalShare: 1,
  // All at once: what waits for its turn is the rollout's tests' business.
  rollout: { canary: 0, waveSize: 100, stopAfterFailures: 100 },
}

export type FleetWorld = Awaited<ReturnType<typeof startFleet>>

/**
 * Starts the systems, with strangers' databases and secrets in them, and an empty fleet with the repository's migrations
 * (`steps`: only the first so many of them). `stop` ends all of it, processes included.
 */
export async function startFleet({ steps, ...options }: SystemsOptions & { steps?: number } = {}) {
  const systems = await startSystems(options)
  await plantStrangers(systems)
  const strangers = await fingerprint(systems)
  const tenantsDir = path.join(systems.folder, "tenants")
  const migrationsDir = path.join(systems.folder, "migrations")
  const fleetFile = path.join(systems.folder, "fleet.yaml")
  const files = { TENANTS_DIR: tenantsDir, MIGRATIONS_DIR: migrationsDir, FLEET_FILE: fleetFile }
  const running = new Set<Command>()
  const planted = new Map<string, string[]>()
  let printed = ""

  const fileOf = (id: string) => path.join(tenantsDir, `${id}.yaml`)
  const environment = (): Record<string, string> => ({
    PATH: process.env["PATH"]!,
    ...COMPILED,
    ...systems.environment(),
    ...files,
  })

  const world = {
    ...systems,
    fleet: FLEET.fleet,
    tenantsDir,
    migrationsDir,
    fleetFile,
    /** What `fingerprint` said before anybody could touch the strangers. */
    strangers,
    /** Rows that were planted, by the tenant's id: what nobody may lose. */
    planted,
    /** Everything that any program has printed. */
    printed: () => printed,

    /** Writes the tenant's file, new or over the old one. */
    declare: ({ ...declaration }: Declaration) => writeFile(fileOf(declaration.id), stringify(declaration)),
    /** Removes the tenant's file. */
    remove: (id: string) => rm(fileOf(id), { force: true }),
    /** Writes fleet.yaml, with some settings other than the usual ones. */
    configure: (settings: Partial<typeof FLEET> = {}) =>
      writeFile(fleetFile, stringify({ ...FLEET, ...settings })),
    /** Adds a step to the migrations, such as "0006_stock.sql". */
    addMigration: (file: string, text: string) => writeFile(path.join(migrationsDir, file), text),

    environment,
    /** Starts one of the repository's programs as a process that ends with the world; what it prints is kept. */
    startProgram: (entry: string, words: readonly string[], variables: Record<string, string>): Command => {
      const command = startCommand([process.execPath, path.join(REPOSITORY, entry), ...words], {
        cwd: systems.folder,
        env: variables,
        print: (text) => (printed += text),
      })
      running.add(command)
      void command.ended.then(() => running.delete(command))
      return command
    },
    /** Starts the reconciler's command line, such as `run`. */
    start: (words: readonly string[], variables: Record<string, string> = {}): Command =>
      world.startProgram("reconciler/main.ts", words, { ...environment(), ...variables }),
    /** The same until it has ended: `apply` is one pass. */
    run: (words: readonly string[], variables: Record<string, string> = {}): Promise<Ended> =>
      world.start(words, variables).ended,

    /** Makes the world what the files say by passes in this process: quick, and only for what a test starts from. */
    prepare: async (): Promise<void> => {
      const config = readConfig(environment())
      const hooks = { signal: new AbortController().signal, planned: () => {}, progress: () => {} }
      for (let passes = 0; passes < 5; passes++) {
        const { outcomes } = await reconcile(config.sources, openWorld(config), hooks)
        const failed = outcomes.find(({ error }) => error !== undefined)
        if (failed) throw new Error(`could not prepare the world: ${failed.error!.message}`)
        if (outcomes.length === 0) return
      }
      throw new Error("could not prepare the world: there is something to do at each pass")
    },

    /** Writes rows that name their tenant, with the credential that the vault has for it. */
    plant: async (id: string, rows = 2): Promise<void> => {
      const { value } = await systems.secrets.getSecret(`tenant-${id}`)
      const before = planted.get(id) ?? []
      const names = Array.from({ length: rows }, (_, index) => `${id} row ${before.length + index}`)
      const sql = "insert into products (name, price, description) select unnest($1::text[]), 1, 'planted'"
      await query(value!, sql, [names])
      planted.set(id, [...before, ...names])
    },
    /** From now on the tenant's rows may be gone: somebody decided so. */
    giveUp: (id: string) => void planted.delete(id),

    /** Waits until no session of a reconciler is left in Postgres. */
    unconnected: () =>
      eventually("no reconciler is connected", async () => {
        const sessions = await systems.sql(
          "postgres",
          "select pid from pg_stat_activity where application_name in ('tenantry-reconciler', 'tenantry-lease')",
        )
        if (sessions.length > 0) throw new Error(JSON.stringify(sessions))
      }),

    /** Takes everything away but the strangers, past all soft deletion: an empty fleet again. */
    clear: async (): Promise<void> => {
      await world.unconnected()
      systems.neon.faults.clear()
      systems.vault.faults.clear()
      await emptySystems(systems)
      planted.clear()
      await writeFiles()
    },

    stop: async () => {
      process.off("exit", killAll)
      killAll()
      await Promise.all([...running].map(({ ended }) => ended))
      await systems.stop()
    },
  }

  function killAll(): void {
    for (const { group } of running) {
      try {
        process.kill(-group, "SIGKILL")
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error
      }
    }
  }

  async function writeFiles(): Promise<void> {
    await rm(tenantsDir, { recursive: true, force: true })
    await rm(migrationsDir, { recursive: true, force: true })
    await mkdir(tenantsDir)
    await mkdir(migrationsDir)
    const from = path.join(REPOSITORY, "migrations")
    const names = (await readdir(from)).filter((name) => name.endsWith(".sql")).toSorted()
    for (const name of names.slice(0, steps)) await cp(path.join(from, name), path.join(migrationsDir, name))
    await cp(path.join(from, "seeds"), path.join(migrationsDir, "seeds"), { recursive: true })
    await world.configure()
  }

  process.on("exit", killAll)
  const ca = readFileSync(systems.vault.caFile, "utf8")
  setDefaultCACertificates([...getCACertificates("default"), ca])
  // Where `prepare` finds its identity.
  Object.assign(process.env, systems.vault.environment("reconciler"))
  await writeFiles()
  return world
}
