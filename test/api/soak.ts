/**
 * Mixed requests of many tenants with evictions, clients that go away, killed backends and time-outs. Every row carries
 * its tenant's id as data, so that a row in the wrong answer, or in the wrong database, is seen.
 *
 *     npm run soak:api -- --requests 1000000 --tenants 200
 */
import { randomInt, randomUUID } from "node:crypto"
import { setTimeout as sleep } from "node:timers/promises"
import { parseArgs } from "node:util"
import { assertMarker, type CheckMarker } from "../../api/connections.ts"
import { keepAlive, type KeepAlive } from "./keep-alive.ts"
import { compose, draw, ownersIn } from "./soak-requests.ts"
import { type Api, FLEET, startWorld, type TestTenant, type World } from "./world.ts"

type SoakOptions = {
  requests: number
  tenants: number
  /** Most connections of the process: few, so that tenants push each other out. */
  budget: number
  /** Plants a wrong secret: the first tenant's is the second one's. */
  isPlanted?: boolean
  /** The product's own unless given: without it is seen what it is for. */
  checkMarker?: CheckMarker
  print?: (line: string) => void
}

export type Soaked = {
  requests: number
  tenants: number
  seconds: number
  /** How many requests were answered with each status; "gone" are those whose client went away. */
  answers: Record<string, number>
  evictions: number
  killed: number
  /** Tables that were locked for longer than a statement may take. */
  locked: number
  /** How many answers showed rows of another tenant, and the first few. */
  leaks: number
  leaked: string[]
  /** Rows that lie in another tenant's database. */
  strays: number
  /** How many answers nothing explains, and the first few. */
  faults: number
  faulty: string[]
  /** Of this process, which is the API and its clients; bytes. */
  mostMemory: number
}

const SIDES = 48
/** Every so many requests a backend is killed, a table is locked for longer than a statement may take, a client leaves. */
const KILL_EVERY = 97
const LOCK_EVERY = 499
const LEAVE_EVERY = 29
const PRINT_EVERY = 10_000
/** Milliseconds. */
const STATEMENT_TIMEOUT = 300
const LONGEST_STAY = 15
const MOST_SHOWN = 10
/** What these disturbances may lead to; anything else is a fault. */
const EXPECTED = new Set(["200", "201", "204", "404", "409", "412", "422", "503 database-timeout"])

/** Runs it with tenants of its own in this world. */
export async function soak(world: World, options: SoakOptions): Promise<Soaked> {
  const tenants = await addTenants(world, options.tenants)
  const [thief, victim] = tenants
  if (options.isPlanted) world.vault.set(thief!.id, { state: "active", uri: victim!.uri, fleet: FLEET })
  const api = await world.serve({
    patience: 5000,
    pools: {
      budget: options.budget,
      maxConnections: 2,
      statementTimeout: STATEMENT_TIMEOUT,
      wait: 5000,
      checkMarker: options.checkMarker ?? assertMarker,
    },
  })
  try {
    const result = await run(world, api, tenants, options)
    result.strays = await countStrays(world, tenants)
    return result
  } finally {
    await api.close()
  }
}

async function addTenants(world: World, count: number): Promise<TestTenant[]> {
  const tenants: TestTenant[] = []
  for (let n = 0; n < count; n++) {
    const tenant = await world.addTenant(`soak-${randomUUID()}`)
    await world.sql(
      tenant.database,
      `insert into products (name, price) select 'of ${tenant.id}', n from generate_series(1, 20) n;
       insert into users (name, email) select 'of ${tenant.id}', n || '@example.com' from generate_series(1, 5) n;
       insert into carts (user_id) select n from generate_series(1, 5) n, generate_series(1, 2);
       insert into cart_items (cart_id, product_id, quantity) select n, n, 2 from generate_series(1, 10) n`,
    )
    tenants.push(tenant)
  }
  return tenants
}

async function countStrays(world: World, tenants: TestTenant[]): Promise<number> {
  let strays = 0
  for (const { id, database } of tenants) {
    const [row] = await world.sql<{ strays: number }>(
      database,
      `select (select count(*) from products where name <> 'of ${id}' or description not in ('', 'of ${id}'))::int
            + (select count(*) from users where name <> 'of ${id}')::int as strays`,
    )
    strays += row!.strays
  }
  return strays
}

async function run(
  world: World,
  api: Api,
  tenants: TestTenant[],
  { requests, print = () => {} }: SoakOptions,
): Promise<Soaked> {
  const begun = performance.now()
  const result: Soaked = {
    requests,
    tenants: tenants.length,
    seconds: 0,
    answers: {},
    evictions: 0,
    killed: 0,
    locked: 0,
    leaks: 0,
    leaked: [],
    strays: 0,
    faults: 0,
    faulty: [],
    mostMemory: 0,
  }
  const disturbances = new Set<Promise<void>>()
  const count = (what: string) => (result.answers[what] = (result.answers[what] ?? 0) + 1)
  const show = (list: string[], text: string) => {
    if (list.length < MOST_SHOWN) list.push(text.slice(0, 500))
  }
  const disturb = (work: () => Promise<void>) => {
    const started = work().finally(() => disturbances.delete(started))
    disturbances.add(started)
  }

  async function kill(): Promise<void> {
    const { rowCount } = await world.admin.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where usename like 'tenant\\_%' order by random() limit 1",
    )
    result.killed += rowCount ?? 0
  }

  async function lock(): Promise<void> {
    const held = await world.hold(draw(tenants).database, "lock table products in access exclusive mode")
    result.locked++
    await sleep(2 * STATEMENT_TIMEOUT)
    await held.release()
  }

  async function ask(client: KeepAlive, tenant: TestTenant, stay: number | undefined): Promise<void> {
    const asked = compose(tenant.id)
    const context = `${asked.method} ${asked.target} of ${tenant.id}`
    const reply = await client.send(asked, stay).catch((error: unknown) => String(error))
    if (reply === "gone") return void count("gone")
    if (typeof reply === "string") {
      result.faults++
      return show(result.faulty, `${context}: ${reply}`)
    }
    const { status, text } = reply
    const answer = status >= 500 ? `${status} ${/"\/problems\/([a-z-]+)"/.exec(text)?.[1]}` : String(status)
    count(answer)
    const strangers = [...ownersIn(text)].filter((owner) => owner !== tenant.id)
    if (strangers.length > 0) {
      result.leaks++
      show(result.leaked, `${context} showed rows of ${strangers.join()}`)
    }
    if (!EXPECTED.has(answer)) {
      result.faults++
      show(result.faulty, `${context}: ${status} ${text}`)
    }
  }

  function look(sent: number): void {
    const { rss } = process.memoryUsage()
    const seconds = (performance.now() - begun) / 1000
    result.seconds = Math.round(seconds)
    result.evictions = api.pools.counts().evictions
    result.mostMemory = Math.max(result.mostMemory, rss)
    print(
      `${sent} of ${requests}, ${Math.round(sent / seconds)}/s: ${result.evictions} evictions, ` +
        `${result.killed} killed, ${result.leaks} leaks, ${result.faults} faults, ${megabytes(rss)} MB`,
    )
  }

  let sent = 0
  await Promise.all(
    Array.from({ length: SIDES }, async () => {
      const client = keepAlive(api.url)
      while (sent < requests) {
        const n = ++sent
        if (n % KILL_EVERY === 0) disturb(kill)
        if (n % LOCK_EVERY === 0) disturb(lock)
        if (n % PRINT_EVERY === 0) look(n)
        await ask(client, draw(tenants), n % LEAVE_EVERY === 0 ? randomInt(LONGEST_STAY) : undefined)
      }
      client.close()
    }),
  )
  await Promise.all(disturbances)
  look(sent)
  return result
}

const megabytes = (bytes: number) => Math.round(bytes / 2 ** 20)

/** The last line: whether any row of another tenant was seen, among how much. */
function verdict(result: Soaked): string {
  const { requests, tenants, seconds, evictions, killed, locked, answers } = result
  const among =
    `${requests} requests over ${tenants} tenants in ${seconds} s with ${evictions} evictions, ${killed} killed backends, ` +
    `${answers["gone"] ?? 0} clients gone, ${answers["503 database-timeout"] ?? 0} time-outs (${locked} locked tables), ` +
    `at most ${megabytes(result.mostMemory)} MB`
  return `${result.leaks} leaks, ${result.strays} stray rows, ${result.faults} faults: ${among}`
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      requests: { type: "string", default: "1000000" },
      tenants: { type: "string", default: "200" },
      budget: { type: "string", default: "150" },
    },
  })
  const world = await startWorld()
  const result = await soak(world, {
    requests: Number(values.requests),
    tenants: Number(values.tenants),
    budget: Number(values.budget),
    print: (line) => process.stderr.write(`${line}\n`),
  }).finally(() => world.close())
  process.stdout.write(`${JSON.stringify(result, null, 2)}\n${verdict(result)}\n`)
  if (result.leaks + result.strays + result.faults > 0) process.exitCode = 1
}
