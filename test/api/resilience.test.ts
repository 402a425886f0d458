import { setImmediate as turn, setTimeout as sleep } from "node:timers/promises"
import { Client } from "pg"
import { afterAll, afterEach, beforeAll, expect, test } from "vitest"
import { assertMarker, openConnection } from "../../api/connections.ts"
import { ClientGone } from "../../api/failures.ts"
import { outcomeOf, queryOn } from "../../api/transaction.ts"
import { TransientError } from "../../reconciler/errors.ts"
import { loginRole } from "../../reconciler/tenant.ts"
import { startProxy } from "./proxy.ts"
import { type Answer, type Api, FLEET, startWorld, type TestTenant, type World } from "./world.ts"

let world: World
let serving: Api[] = []

const serve = async (...options: Parameters<World["serve"]>) => {
  const api = await world.serve(...options)
  serving.push(api)
  return api
}

beforeAll(async () => {
  world = await startWorld()
}, 60_000)
afterEach(async () => {
  await Promise.all(serving.map((api) => api.close()))
  serving = []
})
afterAll(() => world?.close())

/** Changes under load; `npm run soak:changes` has the real reconciler make as many as one likes. */
const ROUNDS = 8

/** Reads and writes from several sides until stopped; each written name is unlike every other. */
function load(api: Api, tenant: TestTenant) {
  const answers: { sent: string; answer: Answer; took: number }[] = []
  const over = new AbortController()
  const side = async (n: number) => {
    for (let i = 0; !over.signal.aborted; i++) {
      const name = `${n}-${i}`
      const begun = performance.now()
      const answer =
        n % 2 === 0
          ? await api.call(tenant, "POST", "/products", { name, price: 1 })
          : await api.call(tenant, "GET", "/products?limit=1")
      answers.push({ sent: n % 2 === 0 ? name : "", answer, took: performance.now() - begun })
      await turn()
    }
  }
  const sides = Promise.all([0, 1, 2, 3, 4, 5].map(side))
  return {
    /** Waits until that many more requests were answered. */
    async more(n: number) {
      const goal = answers.length + n
      await expect.poll(() => answers.length, { timeout: 30_000 }).toBeGreaterThanOrEqual(goal)
    },
    async stop() {
      over.abort()
      await sides
      return answers
    },
  }
}

/** No request failed, and what was answered 201 is there once; what is there was answered 201. */
async function expectAllServed(answers: { sent: string; answer: Answer; took: number }[], database: string) {
  const longest = Math.round(Math.max(...answers.map(({ took }) => took)))
  process.stdout.write(
    `${expect.getState().currentTestName}: ${answers.length} requests, longest wait ${longest} ms\n`,
  )
  expect(answers.filter(({ answer }) => answer.status >= 300)).toEqual([])
  const rows = await world.sql<{ name: string }>(database, "select name from products")
  const sent = answers.map((one) => one.sent).filter((name) => name !== "")
  expect(rows.map(({ name }) => name).sort()).toEqual(sent.sort())
}

const sessionsOf = (database: string, condition = "true") =>
  world.admin
    .query<{ n: number }>(
      `select count(*)::int as n from pg_stat_activity where datname = '${database}' and ${condition}`,
    )
    .then(({ rows }) => rows[0]!.n)

const connectTo = ({ id, uri }: TestTenant) =>
  openConnection(
    id,
    { state: "active", uri, fleet: FLEET },
    { connectTimeout: 5000, statementTimeout: 5000, checkMarker: assertMarker },
  )

/** Renames as the reconciler does: nobody new comes in, idle sessions are ended, then rename, publish, open. */
async function rename(tenant: TestTenant, from: string, to: string, whileClosed = async () => {}) {
  const role = loginRole(tenant.id, "a")
  await world.admin.query(`alter role "${role}" nologin`)
  const drain = async () => {
    await world.admin.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${from}' and state = 'idle'`,
    )
    return sessionsOf(from)
  }
  await expect.poll(drain, { timeout: 20_000 }).toBe(0)
  await whileClosed()
  await world.admin.query(`alter database "${from}" rename to "${to}"`)
  world.vault.set(tenant.id, { state: "active", uri: world.uriOf(tenant, to), fleet: FLEET })
  await world.admin.query(`alter role "${role}" login`)
}

test("a database renamed again and again under load, its secret published again, fails no request and loses no row", async () => {
  const tenant = await world.addTenant("Old")
  const api = await serve()
  const traffic = load(api, tenant)
  let name = tenant.database
  for (let round = 0; round < ROUNDS; round++) {
    await traffic.more(30)
    await rename(tenant, name, `products-New${round}`)
    name = `products-New${round}`
  }
  await traffic.more(60)
  await expectAllServed(await traffic.stop(), name)
}, 60_000)

test("who waits for a login that is closed is served when it opens, though they are more than the queue takes", async () => {
  const tenant = await world.addTenant("Crowded")
  const api = await serve({ patience: 30_000, pools: { maxWaiting: 60, maxConnections: 1 } })
  const role = loginRole(tenant.id, "a")
  await world.admin.query(`alter role "${role}" nologin`)
  const answers: Promise<Answer>[] = []
  for (let n = 0; n < 100; n++) {
    answers.push(api.call(tenant, "GET", "/products?limit=1"))
    if (n % 2 === 1) await sleep(50)
  }
  const reads = api.vaultReads()
  // It is read again each half second by those who have not got through.
  await expect.poll(api.vaultReads, { timeout: 20_000 }).toBeGreaterThan(reads + 1)
  await world.admin.query(`alter role "${role}" login`)
  const failed = (await Promise.all(answers)).filter(({ status }) => status !== 200)
  expect(failed).toEqual([])
}, 60_000)

test("a plan that a migration made stale fails no request, however many connections have one", async () => {
  const tenant = await world.addTenant("Stale", { seed: true })
  const api = await serve({ pools: { maxConnections: 6 } })
  const change = (id: number) => api.call(tenant, "PATCH", `/products/${id}`, { price: id })
  const { release } = await world.hold(tenant.database, "lock table products")
  const changes = [1, 2, 3, 4, 5, 6].map(change)
  await expect.poll(() => world.waiters(tenant.database), { timeout: 20_000 }).toBe(6)
  await release()
  expect((await Promise.all(changes)).map(({ status }) => status)).toEqual(Array(6).fill(200))
  await world.sql(tenant.database, "alter table products alter price type numeric(14, 2)")
  expect((await change(1)).status).toBe(200)
})

test("the same rename is seen to fail requests when nothing is tried again", async () => {
  const tenant = await world.addTenant("Impatient")
  const api = await serve({ patience: 0 })
  const traffic = load(api, tenant)
  await traffic.more(20)
  await rename(tenant, tenant.database, "products-Impatient2", () => traffic.more(20))
  const answers = await traffic.stop()
  expect(answers.map(({ answer }) => answer.status)).toContain(503)
}, 60_000)

test("a password changed again and again under load fails no request", async () => {
  const tenant = await world.addTenant("Rotated")
  const api = await serve({ pools: { idleTimeout: 1 } })
  const traffic = load(api, tenant)
  for (let round = 0; round < ROUNDS; round++) {
    await traffic.more(20)
    const password = `another-password-${round}`
    await world.admin.query(`alter role "${loginRole(tenant.id, "a")}" password '${password}'`)
    await world.admin.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${tenant.database}'`,
    )
    const uri = world.uriOf(tenant, tenant.database, password)
    world.vault.set(tenant.id, { state: "active", uri, fleet: FLEET })
  }
  await expectAllServed(await traffic.stop(), tenant.database)
}, 60_000)

test("killed backends, idle or at work, fail no request and repeat no write", async () => {
  const tenant = await world.addTenant("Killed")
  const api = await serve()
  const traffic = load(api, tenant)
  let killed = 0
  await expect
    .poll(
      async () => {
        const { rowCount } = await world.admin.query(
          `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${tenant.database}'`,
        )
        killed += rowCount ?? 0
        return killed
      },
      { timeout: 30_000, interval: 10 },
    )
    .toBeGreaterThan(100)
  await expectAllServed(await traffic.stop(), tenant.database)
}, 60_000)

test("a restart of Postgres under load fails no request", async () => {
  const tenant = await world.addTenant("Restarted")
  const api = await serve({ patience: 30_000, pools: { wait: 30_000 } })
  const traffic = load(api, tenant)
  await traffic.more(50)
  await world.restart()
  await traffic.more(50)
  await expectAllServed(await traffic.stop(), tenant.database)
}, 90_000)

test("an idle session that the server ends neither stops the process nor fails the next request", async () => {
  const tenant = await world.addTenant("Idle")
  const api = await serve()
  expect((await api.call(tenant, "GET", "/products")).status).toBe(200)
  await world.admin.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${tenant.database}'`,
  )
  await expect.poll(() => sessionsOf(tenant.database)).toBe(0)
  expect((await api.call(tenant, "GET", "/products")).status).toBe(200)
})

test.each(["before", "after"] as const)(
  "a commit whose connection is cut %s the server saw it happens exactly once",
  async (how) => {
    const tenant = await world.addTenant(`Cut-${how}`)
    const uri = new URL(tenant.uri)
    const proxy = await startProxy(Number(uri.port))
    uri.port = String(proxy.port)
    world.vault.set(tenant.id, { state: "active", uri: uri.href, fleet: FLEET })
    const api = await serve()
    proxy.cutNextCommit(how)
    const answer = await api.call(tenant, "POST", "/products", { name: "once", price: 1 })
    const rows = await world.sql(tenant.database, "select id::int, name from products")
    proxy.close()
    expect(proxy.cuts()).toBe(1)
    expect(answer).toMatchObject({ status: 201, body: { name: "once" } })
    expect(rows).toEqual([{ id: answer.body.id, name: "once" }])
  },
)

test("after a crash of Postgres nobody takes another's commit for their own", async () => {
  const tenant = await world.addTenant("Crashed")
  const client = new Client({ connectionString: tenant.uri })
  client.on("error", () => {})
  await client.connect()
  const begun = await client.query(
    "begin; select pg_current_xact_id()::text as id, now()::text as at, pg_backend_pid() as pid",
  )
  const [, lost] = begun as unknown as { rows: { id: string; at: string; pid: number }[] }[]
  const { id, at, pid } = lost!.rows[0]!
  process.kill(pid, "SIGKILL")
  await expect
    .poll(
      () =>
        world.sql(tenant.database, "select").then(
          () => true,
          () => false,
        ),
      { timeout: 30_000 },
    )
    .toBe(true)
  // The others' session has ended with it, too.
  await world.restart()
  const connection = await connectTo(tenant)
  const outcome = (transaction: { id: string; at: string }) => outcomeOf(queryOn(connection), transaction)
  const future = { id: String(BigInt(id) + 1_000_000n), at }
  expect(await outcome(future)).toBe("aborted")
  const taken = async () => {
    const [one] = await world.sql<{ id: string }>(tenant.database, "select pg_current_xact_id()::text as id")
    return BigInt(one!.id) >= BigInt(id)
  }
  await expect.poll(taken, { timeout: 30_000 }).toBe(true)
  const [status] = await world.sql(tenant.database, `select pg_xact_status('${id}'::xid8) as status`)
  expect(status).toEqual({ status: "committed" })
  expect(await outcome({ id, at })).toBe(undefined)
  await connection.close()
}, 90_000)

test("a client that has gone before its connection was made has nothing run for it", async () => {
  const tenant = await world.addTenant("Early")
  const connection = await connectTo(tenant)
  const gone = { aborted: true, addEventListener: () => {}, removeEventListener: () => {} }
  const create = "create table never ()"
  await expect(connection.query(create, gone)).rejects.toThrow(ClientGone)
  expect(await connection.query("select to_regclass('never') as found")).toMatchObject({
    rows: [{ found: null }],
  })
  await connection.close()
})

test("a statement over its time is 503, its connection is destroyed, and the next request is served", async () => {
  const tenant = await world.addTenant("Slow")
  const api = await serve({ pools: { statementTimeout: 200, maxConnections: 1 } })
  expect((await api.call(tenant, "GET", "/products")).status).toBe(200)
  const [before] = await backends(tenant)
  await world.sql(
    tenant.database,
    `create function hold() returns trigger language plpgsql as 'begin perform pg_sleep(30); return new; end';
     create trigger hold before insert on products for each row when (new.name = 'slow') execute function hold()`,
  )
  expect(await api.call(tenant, "POST", "/products", { name: "slow", price: 1 })).toMatchObject({
    status: 503,
    body: { type: "/problems/database-timeout" },
  })
  expect((await api.call(tenant, "POST", "/products", { name: "quick", price: 1 })).status).toBe(201)
  const [after] = await backends(tenant)
  expect(after).not.toBe(before)
  expect(await world.sql(tenant.database, "select name from products")).toEqual([{ name: "quick" }])
})

test("a session that does not answer at all is given up, and the next request has another one", async () => {
  const tenant = await world.addTenant("Silent")
  const api = await serve({ pools: { statementTimeout: 200, maxConnections: 1 } })
  expect((await api.call(tenant, "GET", "/products")).status).toBe(200)
  const [silent] = await backends(tenant)
  process.kill(silent!, "SIGSTOP")
  try {
    expect(await api.call(tenant, "GET", "/products")).toMatchObject({
      status: 503,
      body: { type: "/problems/database-timeout" },
    })
    expect((await api.call(tenant, "GET", "/products")).status).toBe(200)
  } finally {
    process.kill(silent!, "SIGCONT")
  }
})

const backends = async (tenant: TestTenant) =>
  (
    await world.admin.query<{ pid: number }>(
      `select pid from pg_stat_activity where datname = '${tenant.database}' and application_name = 'tenantry-api'`,
    )
  ).rows.map(({ pid }) => pid)

test("who would wait too long for a connection gets 503 and Retry-After, and connections stay bounded", async () => {
  const tenant = await world.addTenant("Busy")
  const api = await serve({ pools: { maxConnections: 2, maxWaiting: 1, wait: 60_000 } })
  const held = Promise.withResolvers<void>()
  const database = await api.databases.open(tenant.id)
  const holding = [1, 2, 3].map(() => database.write(() => held.promise))
  await expect.poll(() => sessionsOf(tenant.database)).toBe(2)
  const answer = await api.call(tenant, "GET", "/products")
  expect(answer).toMatchObject({ status: 503, body: { type: "/problems/database-busy" } })
  expect(answer.headers.get("retry-after")).toBe("1")
  expect(await sessionsOf(tenant.database)).toBe(2)
  held.resolve()
  await Promise.all(holding)
  expect((await api.call(tenant, "GET", "/products")).status).toBe(200)
})

test("a pool in use is never closed to make room", async () => {
  const first = await world.addTenant("Room1")
  const second = await world.addTenant("Room2")
  const api = await serve({ pools: { budget: 1, wait: 100 } })
  const held = Promise.withResolvers<void>()
  const database = await api.databases.open(first.id)
  const holding = database.read(async (query) => {
    await held.promise
    return query<{ one: number }>({ name: "one", text: "select 1 as one" }, [])
  })
  expect(await api.call(second, "GET", "/products")).toMatchObject({ status: 503 })
  held.resolve()
  expect(await holding).toEqual([{ one: 1 }])
  // To end one session and begin another takes longer than the wait at times.
  await expect.poll(async () => (await api.call(second, "GET", "/products")).status).toBe(200)
  await expect.poll(() => sessionsOf(first.database)).toBe(0)
})

test("what a transaction did is undone when its work throws, and its connection is not used again", async () => {
  const tenant = await world.addTenant("Thrown")
  const api = await serve({ pools: { maxConnections: 1 } })
  const database = await api.databases.open(tenant.id)
  const insert = { name: "thrown-insert", text: "insert into products (name, price) values ('half', 1)" }
  const pid = { name: "thrown-pid", text: "select pg_backend_pid() as pid" }
  const [before] = await database.read((query) => query(pid, []))
  await expect(
    database.write(async (query) => {
      await query(insert, [])
      throw new Error("changed my mind")
    }),
  ).rejects.toThrow("changed my mind")
  const [after] = await database.read((query) => query(pid, []))
  expect(after).not.toEqual(before)
  expect(await world.sql(tenant.database, "select from products")).toEqual([])
})

test("a tenant goes on being served while the vault is away", async () => {
  const tenant = await world.addTenant("Steady")
  const api = await serve()
  expect((await api.call(tenant, "GET", "/products")).status).toBe(200)
  world.vault.set(tenant.id, new TransientError("Throttled", "429"))
  await world.admin.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${tenant.database}'`,
  )
  expect((await api.call(tenant, "GET", "/products")).status).toBe(200)
})

test("no credential is logged, whatever went wrong", async () => {
  const tenant = await world.addTenant("Quiet")
  const api = await serve({ patience: 50 })
  const password = "not-the-right-password"
  world.vault.set(tenant.id, {
    state: "active",
    uri: world.uriOf(tenant, tenant.database, password),
    fleet: FLEET,
  })
  expect((await api.call(tenant, "GET", "/products")).status).toBe(503)
  expect(api.logged.join("")).toContain("28P01")
  expect(api.logged.join("")).not.toContain(password)
})
