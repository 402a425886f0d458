/** Tasks that share a session, against a real Postgres. */
import { expect, test } from "vitest"
import { TerminalError, TransientError } from "../../reconciler/errors.ts"
import { connected, inOneSession, type Session, withLogin } from "../../reconciler/providers/postgres.ts"
import { seed } from "../../reconciler/providers/migrator.ts"
import { query, useServer } from "./server.ts"

const server = useServer()

const pid = async (session: Session) =>
  session.run(async (client) => (await client.query("select pg_backend_pid() as pid")).rows[0].pid as number)
const sharing = <T>(uri: string, work: (session: Session) => Promise<T>) =>
  inOneSession(async () => uri, work)

test("one session serves all tasks, and ends with the work", async () => {
  const uri = await server.database()
  const pids = await sharing(uri, async (session) => [await pid(session), await pid(session)])
  expect(pids[1]).toBe(pids[0])
  const left = () => query(uri, `select from pg_stat_activity where pid = ${pids[0]}`)
  await expect.poll(left).toEqual([])
})

test("what a task sets, locks or makes for its session the next one does not meet", async () => {
  const uri = await server.database()
  await query(server.asSuperuser(uri), "create role other; grant other to owner")
  const state = `select current_user as who, current_setting('search_path') as path, to_regclass('scratch') as scratch,
    (select count(*)::int from pg_locks where locktype = 'advisory') as locks`
  const look = (session: Session) => session.run(async (client) => (await client.query(state)).rows[0])
  const [before, within, after] = await sharing(uri, async (session) => {
    const first = await look(session)
    const second = await session.run(async (client) => {
      await client.query("select pg_advisory_lock(1); create temp table scratch (); set search_path = ''")
      await client.query("set role other")
      return (await client.query(state)).rows[0]
    })
    return [first, second, await look(session)]
  })
  expect(within).not.toEqual(before)
  expect(after).toEqual(before)
})

test("a transaction that a task leaves open ends with it, undone", async () => {
  const uri = await server.database()
  await sharing(uri, async (session) => {
    await session.run((client) => client.query("begin; create table half ()"))
    await session.run((client) => client.query("create table whole ()"))
  })
  expect(await query(uri, "select to_regclass('half') as half, to_regclass('whole')::text as whole")).toEqual(
    [{ half: null, whole: "whole" }],
  )
})

test("a seed that has run before leaves the session to what comes after it", async () => {
  const uri = await server.database()
  const whats = await sharing(uri, async (session) => {
    const ran = []
    for (let n = 0; n < 2; n++) ran.push(await seed(session, "demo", "create table rows ()"))
    return [...ran, typeof (await pid(session))]
  })
  expect(whats).toEqual([true, false, "number"])
})

test("where nothing is asked, nothing is opened", async () => {
  expect(
    await inOneSession(
      () => Promise.reject(new Error("asked")),
      async () => "done",
    ),
  ).toBe("done")
})

test("what Postgres says becomes our error, and what the work itself throws stays as it is", async () => {
  const uri = await server.database()
  const failing = (sql: string) =>
    sharing(uri, async (session) => {
      await pid(session)
      await session.run((client) => client.query(sql))
    })
  await expect(failing("select 1/0")).rejects.toThrow(TerminalError)
  await expect(failing("select pg_terminate_backend(pg_backend_pid())")).rejects.toThrow(TransientError)
  const wrong = withLogin(uri, "owner", "wrong")
  await expect(sharing(wrong, pid)).rejects.toThrow(/^database db\d+: password authentication failed/)
  await expect(connected(wrong, async () => {})).rejects.toThrow(/password authentication failed/)
  const own = new Error("the pass has ended")
  const interrupted = sharing(uri, async (session) => {
    await pid(session)
    throw own
  })
  await expect(interrupted).rejects.toBe(own)
})
