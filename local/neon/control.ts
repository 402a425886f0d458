/** What the stand-in must remember and Postgres does not: ids, operations, revealable passwords. */
import { Client, DatabaseError, Pool, type ClientBase } from "pg"
import { setTimeout as sleep } from "node:timers/promises"

/** Holds the tables below; on no list, and closed to every role but the superuser. */
export const CONTROL_DATABASE = "neon_control"

export type Queryable = Pick<ClientBase, "query">

export type Control = {
  pool: Pool
  /** Runs `work` in one transaction, rolled back when it throws. */
  transaction: <T>(work: (client: Queryable) => Promise<T>) => Promise<T>
  close: () => Promise<void>
}

/** One server at a time may carry on the operations of a cluster; the number is arbitrary. */
const SERVER_LOCK = 7_316_001

const SCHEMA = `
  create table if not exists cell (
    single boolean primary key default true check (single),
    project_id text not null,
    branch_id text not null,
    owner text not null,
    created_at timestamptz not null default now(),
    branch_changed_at timestamptz not null default now()
  );
  create sequence if not exists database_ids start 100001;
  create table if not exists databases (
    key bigint generated always as identity primary key,
    id bigint not null unique default nextval('database_ids'),
    oid oid unique,
    name text not null,
    owner text not null,
    state text not null default 'ready' check (state in ('creating', 'ready', 'deleting')),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
  );
  create table if not exists roles (
    key bigint generated always as identity primary key,
    oid oid unique,
    name text not null,
    password text,
    state text not null default 'ready' check (state in ('creating', 'ready', 'deleting')),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
  );
  create table if not exists operations (
    seq bigint generated always as identity primary key,
    id uuid not null unique default gen_random_uuid(),
    change_id uuid not null,
    action text not null,
    status text not null default 'scheduling',
    effect jsonb,
    failures_count integer not null default 0,
    error text,
    retry_at timestamptz,
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp()
  );
  create index if not exists operations_under_way on operations (seq)
    where status not in ('finished', 'failed', 'cancelled', 'skipped');
`

/**
 * Opens the control database, making it first if there is none. Throws when another stand-in still holds it after
 * `lockWait` milliseconds: two of them would carry out the same operations.
 */
export async function openControl(superuserUri: string, lockWait: number): Promise<Control> {
  await createControlDatabase(superuserUri)
  const uri = new URL(superuserUri)
  uri.pathname = `/${CONTROL_DATABASE}`
  const pool = new Pool({ connectionString: uri.href, max: 8, application_name: "neon stand-in" })
  pool.on("error", () => {}) // an idle connection was cut; the next query opens another
  pool.on("connect", (client) => client.on("error", () => {})) // the query under way reports it
  const holder = new Client({ connectionString: uri.href, application_name: "neon stand-in lock" })
  holder.on("error", () => {}) // the lock is lost only with Postgres itself
  await holder.connect()
  try {
    await takeServerLock(holder, lockWait)
    await pool.query(SCHEMA)
  } catch (error) {
    await Promise.all([pool.end(), holder.end()])
    throw error
  }
  return {
    pool,
    transaction: (work) => transaction(pool, work),
    close: async () => {
      await pool.end()
      await holder.end().catch(() => {}) // Postgres may have stopped before us
    },
  }
}

async function createControlDatabase(superuserUri: string): Promise<void> {
  const client = new Client({ connectionString: superuserUri })
  client.on("error", () => {}) // the query under way reports it
  await client.connect()
  try {
    const found = await client.query("select from pg_database where datname = $1", [CONTROL_DATABASE])
    if (found.rowCount === 0) await client.query(`create database ${CONTROL_DATABASE} template template0`)
    await client.query(`revoke all on database ${CONTROL_DATABASE} from public`)
  } finally {
    await client.end()
  }
}

/** The session of a server killed a moment ago may still hold the lock. */
async function takeServerLock(holder: Client, wait: number): Promise<void> {
  for (const deadline = performance.now() + wait; performance.now() < deadline; await sleep(100)) {
    const { rows } = await holder.query<{ taken: boolean }>("select pg_try_advisory_lock($1) as taken", [
      SERVER_LOCK,
    ])
    if (rows[0]?.taken) return
  }
  throw new Error(
    `another Neon stand-in already serves this Postgres (it holds ${CONTROL_DATABASE}): stop it first`,
  )
}

async function transaction<T>(pool: Pool, work: (client: Queryable) => Promise<T>): Promise<T> {
  const client = await pool.connect()
  let broken: Error | undefined
  try {
    await client.query("begin")
    const result = await work(client)
    await client.query("commit")
    return result
  } catch (error) {
    await client.query("rollback").catch((cause: Error) => (broken = cause))
    throw error
  } finally {
    client.release(broken)
  }
}

/** Sends statements without parameters as one message, which is one transaction. Returns the rows of the last. */
export async function queryInTurn<Row>(client: Queryable, ...statements: string[]): Promise<Row[]> {
  // For several statements pg gives an array, which its types do not know.
  const results: unknown = await client.query(statements.join(";\n"))
  return [results as { rows: Row[] }].flat().at(-1)!.rows
}

/** True when Postgres went away, or two sessions met on one row: not because of what the query asked. */
export function isTransient(error: unknown): boolean {
  if (!(error instanceof DatabaseError)) return true
  const code = error.code ?? ""
  return code.startsWith("57P") || code.startsWith("08") || error.message.startsWith("tuple concurrently")
}
