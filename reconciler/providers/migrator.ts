/** Brings one tenant's database to the newest schema, through umzug. */
import type { Client } from "pg"
import { MigrationError, Umzug } from "umzug"
import { TerminalError } from "../errors.ts"
import { DEFAULT_LIMITS, type Migration, type Migrations, type Part, type StepLimits } from "../migrations.ts"
import { lineAt, indexOf } from "../sql-text.ts"
import {
  assertFits,
  CREATE_RECORD,
  CREATE_SEEDS,
  lockAndLook,
  recordDone,
  recordUndone,
  type Row,
} from "./migration-record.ts"
import { connected, type Target } from "./postgres.ts"
import { stepError } from "./step-error.ts"
import { assertOneTransaction, type Direction, rehearseSteps, runSteps } from "./step-message.ts"
import { runOutside } from "./step-outside.ts"

type Steps = Pick<Migrations, "steps">

/** `to`: the number of the newest step that is wanted, such as "0004". `limits`: see StepLimits. */
type Options = { limits?: StepLimits; to?: string }

/**
 * Applies the steps that the database does not have. One runner at a time per database; the next one finds the work
 * done. Steps in a transaction go there together with their records, each in its own: two round trips for all of them,
 * and one where nothing is pending. Throws TerminalError, naming file and line, where a step fails or the record does
 * not fit the files; TransientError where waiting may help.
 */
export async function migrate(target: Target, migrations: Steps, options: Options = {}): Promise<void> {
  await connected(target, async (client) => {
    const session = await openSession(client, migrations, options)
    assertFits(session.rows, migrations.steps)
    const pending = pendingOf(session.rows, migrations, options)
    if (pending.length === 0) return
    await thrown(session.runner("up", pending).up({ migrations: pending.map(({ name }) => name) }))
  })
}

/**
 * Undoes, newest first, the steps after number `to` (such as "0004"; "0000" for all), or without `to` the newest one.
 * Returns their names. Throws TerminalError where a file is missing, was edited, or has no down part.
 */
export async function undo(uri: string, migrations: Steps, options: Options = {}): Promise<string[]> {
  return connected(uri, async (client) => {
    const session = await openSession(client, migrations, options)
    const newest = session.rows.at(-1)?.name
    const to = options.to
    const names = session.rows
      .map(({ name }) => name)
      .filter((name) => (to === undefined ? name === newest : name.slice(0, 4) > to))
      .toReversed()
    const steps = names.map((name) => undoable(session.rows, migrations, name))
    await thrown(session.runner("down", steps).down({ migrations: names }))
    return names
  })
}

/**
 * Tries the pending steps in one transaction that is rolled back. Returns the steps that were tried, and those that
 * cannot be: one outside a transaction, and all after it. Throws what `migrate` would throw.
 */
export async function rehearse(
  uri: string,
  migrations: Steps,
  options: Options = {},
): Promise<{ tried: string[]; untried: string[] }> {
  return connected(uri, async (client) => {
    const { rows, limits } = await openSession(client, migrations, options)
    assertFits(rows, migrations.steps)
    const pending = pendingOf(rows, migrations, options)
    const outside = pending.findIndex(({ inTransaction }) => !inTransaction)
    const steps = outside === -1 ? pending : pending.slice(0, outside)
    for (const step of steps) await assertOneTransaction(step, step.up)
    if (steps.length > 0)
      await rehearseSteps(
        client,
        steps.map((step) => ({ step, part: step.up })),
        { limits },
      )
    return {
      tried: steps.map(({ name }) => name),
      untried: pending.slice(steps.length).map(({ name }) => name),
    }
  })
}

/** The names of the steps that the database has, whole. Waits for a runner that is at it. */
export async function applied(uri: string): Promise<string[]> {
  return connected(uri, async (client) => {
    const rows = (await lockAndLook(client)) ?? []
    return rows.filter(({ state }) => state === "done").map(({ name }) => name)
  })
}

/** Runs the seed once, in one transaction with its record. Returns whether it ran. */
export async function seed(target: Target, name: string, sql: string): Promise<boolean> {
  return connected(target, async (client) => {
    await lockAndLook(client)
    await client.query(`begin; ${CREATE_SEEDS}`)
    const { rowCount } = await client.query(
      "insert into tenantry.seeds (name) values ($1) on conflict do nothing",
      [name],
    )
    if (!rowCount) return false
    try {
      await client.query(sql)
    } catch (error) {
      const { position } = error as { position?: string }
      const line = position ? lineAt(sql, indexOf(sql, Number(position))) : undefined
      throw stepError({ file: `migrations/seeds/${name}.sql`, line }, error)
    }
    await client.query("commit")
    return true
  })
}

function pendingOf(rows: readonly Row[], { steps }: Steps, { to = "9999" }: Options): Migration[] {
  const done = new Set(rows.filter(({ state }) => state === "done").map(({ name }) => name))
  return steps.filter(({ name }) => !done.has(name) && name.slice(0, 4) <= to)
}

/** The file of what is applied as `name`, where it can undo that. */
function undoable(rows: readonly Row[], { steps }: Steps, name: string): Migration {
  const step = steps.find((candidate) => candidate.name === name)
  const refuse = (why: string) =>
    new TerminalError("MigrationDown", `migration ${name} cannot be undone: ${why}`)
  if (!step) throw refuse("its file is missing; undo it from a checkout that has it")
  const row = rows.find((candidate) => candidate.name === name)
  if (row?.state === "done" && row.checksum !== step.checksum)
    throw refuse("its file was edited after it was applied; bring it back as it was")
  if (!step.down) throw refuse(`${step.file} has no part below "-- tenantry: down"`)
  return step
}

/** What umzug throws is a wrapping; ours is inside. */
const thrown = async <T>(work: Promise<T>): Promise<T> =>
  work.catch((error: unknown) => {
    throw error instanceof MigrationError ? error.cause : error
  })

/** Holds the database's lock until the connection ends. */
async function openSession(client: Client, { steps }: Steps, { limits = DEFAULT_LIMITS }: Options) {
  const found = await lockAndLook(client)
  const rows = found ?? []
  let first = found ? undefined : CREATE_RECORD

  /** Steps from `step` on that can share a message. The turn of one that cannot will come, and say why. */
  async function batchFrom(direction: Direction, order: readonly Migration[], step: Migration) {
    const batch: { step: Migration; part: Part; record: string }[] = []
    for (const one of order.slice(order.indexOf(step))) {
      const part = partOf(one, direction)
      const isFit = one.inTransaction && (one === step || (await isOneTransaction(one, part)))
      if (!isFit) break
      batch.push({ step: one, part, record: direction === "up" ? recordDone(one) : recordUndone(one) })
    }
    return batch
  }

  /** umzug decides what runs next, and calls in this order. */
  function runner(direction: Direction, order: readonly Migration[]) {
    const through = new Set<Migration>()
    const run = async (step: Migration): Promise<void> => {
      if (through.has(step)) return
      if (step.inTransaction) {
        await assertOneTransaction(step, partOf(step, direction))
        const batch = await batchFrom(direction, order, step)
        await runSteps(client, batch, { limits, first })
        for (const one of batch) through.add(one.step)
      } else {
        const row = rows.find(({ name }) => name === step.name)
        await runOutside(client, step, partOf(step, direction), { direction, row, limits, first })
      }
      first = undefined
    }
    const isThere = ({ state }: Row) => direction === "down" || state === "done"
    return new Umzug({
      migrations: steps.map((step) => ({ name: step.name, up: () => run(step), down: () => run(step) })),
      storage: {
        executed: async () => rows.filter(isThere).map(({ name }) => name),
        // A step's record is written in the step's own transaction.
        logMigration: async () => {},
        unlogMigration: async () => {},
      },
      logger: undefined,
    })
  }
  return { rows, limits, runner }
}

const partOf = (step: Migration, direction: Direction): Part => (direction === "up" ? step.up : step.down!)

const isOneTransaction = async (step: Migration, part: Part): Promise<boolean> =>
  assertOneTransaction(step, part).then(
    () => true,
    () => false,
  )
