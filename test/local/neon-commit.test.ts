import { afterAll, beforeAll, expect, test } from "vitest"
import { type NeonWorld, quiet, sql, startWorld, until } from "./neon-world.ts"

let world: NeonWorld
beforeAll(async () => {
  world = await startWorld(
    { operationMs: 20 },
    { synchronous_commit: "on", wal_level: "replica", max_wal_senders: "1" },
  )
})
afterAll(() => world.stop())

const asSuperuser = (text: string) => sql(world.postgres.superuserUri, text)

/** With a replica that is not there, sessions wait for it once they have committed. */
async function waitForReplica(name: string): Promise<void> {
  await asSuperuser(`alter system set synchronous_standby_names = '${name}'`)
  await asSuperuser("select pg_reload_conf()")
}

test("a change that was committed by a session that died before it said so is carried on", async () => {
  const { client } = world
  const { projectId, branchId, owner } = world.neon
  const create = (name: string) =>
    client.createProjectBranchDatabase(projectId, branchId, { database: { name, owner_name: owner } })

  await waitForReplica("nobody")
  const answer = create("unheard")
  await until("the change is committed and its session ended", async () => {
    const ended = await asSuperuser(
      "select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'",
    )
    return ended.length > 0
  })
  await waitForReplica("")
  expect((await answer).status).toBe(500)

  await quiet(client, projectId)
  const { data } = await client.getConnectionUri({ projectId, database_name: "unheard", role_name: owner })
  expect(await sql(data.uri, "select current_database() as name")).toEqual([{ name: "unheard" }])
  expect((await create("next")).status).toBe(201)
  await quiet(client, projectId)
})
