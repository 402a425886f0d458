/**
 * Mixed requests of many tenants with evictions, clients that go away, killed backends and time-outs. Every row carries
 * its tenant's id as data, so that a row in the wrong answer, or in the wrong database, is seen.
 *
 *     node test/api/soak.ts --requests 1000000 --tenants 200
 */
import { randomInt } from "node:crypto"
import { setTimeout as sleep } from "node:timers/promises"
import { parseArgs } from "node:util"
import { formatMarker, groupRole } from "../../reconciler/tenant.ts"
import { type Answer, type Api, FLEET, startWorld, type TestTenant, type World } from "./world.ts"

export type SoakOptions = {
  requests: number
  tenants: number
  /** Most connections of the process: few, so that tenants push each other out. */
  budget: number
  /** Plants a wrong secret, and makes the marker agree with it: then a leak must be seen. */
  planted?: boolean
  /** Called with the number of requests so far. */
  progress?: (done: number) => void
}

export type SoakResult = {
  /** How many requests were answered with each status; "gone" are those whose client went away. */
  answers: Record<string, number>
  killed: number
  locks: number
  evictions: number
  /** Answers with another tenant's rows, and answers that nothing explains; the first few of each. */
  leaks: string[]
  faults: string[]
  /** Rows that lie in another tenant's database. */
  strays: number
  seconds: number
}

const SIDES = 32
/** Every so many requests a backend is killed, and a table is locked for longer than a statement may take. */
const KILL_EVERY = 97
const LOCK_EVERY = 499
const STATEMENT_TIMEOUT = 300
const MOST_SHOWN = 20
/** What these disturbances may lead to; anything else is a fault. */
const EXPECTED = new Set([200, 201, 204, 404, 409, 412, 422, 503])

/** Runs it in a world of its own. */
export async function soak(options: SoakOptions): Promise<SoakResult> {
  const world = await startWorld()
  try {
    const tenants = await addTenants(world, options.tenants)
    if (options.planted) await plant(world, tenants[0]!, tenants[1]!)
    const api = await world.serve({
      patience: 5000,
      pools: { budget: options.budget, maxConnections: 2, statementTimeout: STATEMENT_TIMEOUT, wait: 5000 },
    })
    try {
      return await run(world, api, tenants, options)
    } finally {
      await api.close()
    }
  } finally {
    await world.close()
  }
}

async function addTenants(world: World, count: number): Promise<TestTenant[]> {
  const tenants: TestTenant[] = []
  for (let n = 0; n < count; n++) {
    const tenant = await world.addTenant(`soak-${n}`)
    await world.sql(
      tenant.database,
      `insert into products (name, price) select 'of ${tenant.id}', n from generate_series(1, 20) n;
       insert into users (name, email) select 'of ${tenant.id}', n || '@example.com' from generate_series(1, 5) n`,
    )
    tenants.push(tenant)
  }
  return tenants
}

/** The thief's secret leads to the victim's database, whose marker says that it is the thief's. */
async function plant(world: World, thief: TestTenant, victim: TestTenant): Promise<void> {
  const group = groupRole(thief.id)
  const marker = formatMarker({ fleet: FLEET, tenant: thief.id })
  await world.admin.query(`grant connect on database "${victim.database}" to "${group}"`)
  await world.sql(
    victim.database,
    `grant select, insert, update, delete on all tables in schema public to "${group}"`,
  )
  await world.admin.query(`comment on database "${victim.database}" is '${marker}'`)
  world.vault.set(thief.id, { state: "active", uri: world.uriOf(thief, victim.database), fleet: FLEET })
}

/** Zipf-like: the first tenants are asked for often, the last ones seldom. */
const draw = (tenants: TestTenant[]): TestTenant =>
  tenants[Math.floor(tenants.length ** Math.random() - 1) % tenants.length]!

type Ask = { method: string; target: string; body?: unknown }

function compose(tenant: TestTenant): Ask {
  const id = randomInt(1, 40)
  const name = `of ${tenant.id}`
  const kinds: Ask[] = [
    { method: "GET", target: `/products?limit=${randomInt(1, 30)}` },
    { method: "GET", target: "/products?sort=-price&minPrice=3" },
    { method: "GET", target: `/products?q=${tenant.id}` },
    { method: "GET", target: `/products/${id}` },
    { method: "GET", target: "/users" },
    { method: "GET", target: `/carts/${randomInt(1, 10)}` },
    { method: "POST", target: "/products", body: { name, price: id } },
    { method: "PATCH", target: `/products/${id}`, body: { description: name } },
    { method: "POST", target: "/carts", body: { userId: randomInt(1, 6) } },
    { method: "POST", target: `/carts/${randomInt(1, 10)}/items`, body: { productId: id, quantity: 1 } },
    { method: "DELETE", target: `/products/${randomInt(21, 1000)}` },
  ]
  return kinds[randomInt(kinds.length)]!
}

/** Whose rows an answer shows. */
const ownersIn = (answer: Answer): Set<string> =>
  new Set(JSON.stringify(answer.body ?? "").match(/(?<=of )[0-9a-f-]{36}/g))

async function run(
  world: World,
  api: Api,
  tenants: TestTenant[],
  { requests, progress }: SoakOptions,
): Promise<SoakResult> {
  const begun = performance.now()
  const result: SoakResult = {
    answers: {},
    killed: 0,
    locks: 0,
    evictions: 0,
    leaks: [],
    faults: [],
    strays: 0,
    seconds: 0,
  }
  const disturbances = new Set<Promise<void>>()
  const count = (what: string | number) => (result.answers[what] = (result.answers[what] ?? 0) + 1)
  const note = (list: string[], text: string) => {
    if (list.length < MOST_SHOWN) list.push(text.slice(0, 500))
  }
  const disturb = (work: () => Promise<void>) => {
    const started = work().finally(() => disturbances.delete(started))
    disturbances.add(started)
  }

  async function kill(): Promise<void> {
    const ended = await world.sql(
      "postgres",
      "select pg_terminate_backend(pid) from pg_stat_activity where usename like 'tenant\\_%' order by random() limit 1",
    )
    result.killed += ended.length
  }

  async function lock(): Promise<void> {
    const held = await world.hold(draw(tenants).database, "lock table products in access exclusive mode")
    result.locks++
    await sleep(2 * STATEMENT_TIMEOUT)
    await held.release()
  }

  async function ask(tenant: TestTenant, isLeaving: boolean): Promise<void> {
    const { method, target, body } = compose(tenant)
    const leave = new AbortController()
    const timer = isLeaving ? setTimeout(() => leave.abort(), randomInt(0, 15)) : undefined
    const context = `${method} ${target} of ${tenant.id}`
    try {
      const answer = await api.send(target, {
        method,
        headers: { "X-TenantId": tenant.id, ...(body ? { "Content-Type": "application/json" } : {}) },
        ...(body ? { body: JSON.stringify(body) } : {}),
        signal: leave.signal,
      })
      count(answer.status)
      const strangers = [...ownersIn(answer)].filter((owner) => owner !== tenant.id)
      if (strangers.length > 0) note(result.leaks, `${context} showed rows of ${strangers.join()}`)
      if (!EXPECTED.has(answer.status)) note(result.faults, `${context}: ${JSON.stringify(answer.body)}`)
    } catch (error) {
      if (leave.signal.aborted) count("gone")
      else note(result.faults, `${context}: ${String(error)}`)
    } finally {
      clearTimeout(timer)
    }
  }

  let sent = 0
  await Promise.all(
    Array.from({ length: SIDES }, async () => {
      while (sent < requests) {
        const n = ++sent
        if (n % KILL_EVERY === 0) disturb(kill)
        if (n % LOCK_EVERY === 0) disturb(lock)
        if (n % 10_000 === 0) progress?.(n)
        await ask(draw(tenants), n % 29 === 0)
      }
    }),
  )
  await Promise.all(disturbances)
  result.evictions = api.pools.counts().evictions
  for (const { id, database } of tenants) {
    const [row] = await world.sql<{ strays: number }>(
      database,
      `select (select count(*) from products where name <> 'of ${id}' or description not in ('', 'of ${id}'))::int
            + (select count(*) from users where name <> 'of ${id}')::int as strays`,
    )
    result.strays += row!.strays
  }
  result.seconds = Math.round((performance.now() - begun) / 1000)
  return result
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      requests: { type: "string", default: "1000000" },
      tenants: { type: "string", default: "200" },
      budget: { type: "string", default: "60" },
    },
  })
  const [requests, tenants, budget] = [values.requests, values.tenants, values.budget].map(Number) as [
    number,
    number,
    number,
  ]
  const result = await soak({
    requests,
    tenants,
    budget,
    progress: (done) => process.stderr.write(`${done} of ${requests}\n`),
  })
  process.stdout.write(`${JSON.stringify(result, null, 2)}\n`)
  if (result.leaks.length + result.faults.length + result.strays > 0) process.exitCode = 1
}
