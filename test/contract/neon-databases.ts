/** What the reconciler relies on in Neon's databases; each promise holds at Neon and at its stand-in. */
import { Client } from "pg"
import { beforeAll, describe, expect, test } from "vitest"
import { sql } from "../local/neon-world.ts"
import { type NeonPlace, stepsIn } from "./neon-place.ts"

/** Registers the promises about databases. `open` is called once. */
export function describeDatabases(open: () => Promise<NeonPlace>): void {
  describe("Neon's databases", () => {
    let place: NeonPlace
    let steps: ReturnType<typeof stepsIn>
    const named = (name: string) => `${place.prefix}-${name}`
    const names = async () => (await steps.list()).map(({ name }) => name)
    const rename = (from: string, to: string) =>
      steps.ask(() =>
        place.client.updateProjectBranchDatabase(place.projectId, place.branchId, named(from), {
          database: { name: named(to) },
        }),
      )
    const find = (name: string) =>
      steps.ask(() => place.client.getProjectBranchDatabase(place.projectId, place.branchId, named(name)))

    beforeAll(async () => {
      place = await open()
      steps = stepsIn(place)
    })

    test("a created database is listed with the id that was answered, and is its owner's once its operations ended", async () => {
      const { status, data } = await steps.createDatabase(named("made-Once"))
      expect(status).toBe(201)
      expect(data.operations.length).toBeGreaterThan(0)
      expect(await steps.list()).toContainEqual(
        expect.objectContaining({
          id: data.database.id,
          name: named("made-Once"),
          owner_name: place.owner,
          branch_id: place.branchId,
        }),
      )
      await steps.settle(data.operations)
      const owner =
        "select pg_get_userbyid(datdba) as owner from pg_database where datname = current_database()"
      expect(await sql(await steps.ownerUri(named("made-Once")), owner)).toEqual([{ owner: place.owner }])
    })

    test("a name that is taken is refused with 409, and nothing is made for an owner that is not there", async () => {
      expect((await steps.createDatabase(place.database)).status).toBe(409)
      const orphan = await steps.createDatabase(named("orphan"), named("nobody"))
      expect(orphan.status).toBeGreaterThanOrEqual(400)
      expect(await names()).not.toContain(named("orphan"))
    })

    test("of changes at the same time those that are refused are refused with 423, and come to nothing", async () => {
      const wanted = Array.from({ length: 6 }, (_, index) => named(`race-${index}`))
      const answers = await Promise.all(
        wanted.map((name) =>
          place.client.createProjectBranchDatabase(place.projectId, place.branchId, {
            database: { name, owner_name: place.owner },
          }),
        ),
      )
      const taken = answers.filter(({ status }) => status === 201)
      expect(taken.length).toBeGreaterThan(0)
      for (const { status } of answers) expect([201, 423]).toContain(status)
      for (const { data } of taken) await steps.settle(data.operations)
      const made = (await names()).filter((name) => name.startsWith(named("race-")))
      expect(made.toSorted()).toEqual(wanted.filter((_, index) => answers[index]!.status === 201))
    })

    test("a renamed database keeps its id and its rows, and its old name is nobody's", async () => {
      const before = await steps.makeDatabase(named("before"))
      await sql(before, "create table note as select 'kept' as text")
      const { id } = (await find("before")).data.database
      const { status, data } = await rename("before", "after")
      expect(status).toBe(200)
      await steps.settle(data.operations)
      expect((await find("after")).data.database.id).toBe(id)
      expect((await find("before")).status).toBe(404)
      expect(await sql(await steps.ownerUri(named("after")), "select text from note")).toEqual([
        { text: "kept" },
      ])
      expect(await steps.codeOf(before)).toBe("3D000")
    })

    test("a rename to a name that is taken is refused with 409, of what is not there with 404", async () => {
      for (const name of ["first", "second"]) await steps.makeDatabase(named(name))
      expect((await rename("first", "second")).status).toBe(409)
      expect((await rename("missing", "found")).status).toBe(404)
      expect(await names()).toEqual(expect.arrayContaining([named("first"), named("second")]))
    })

    test("while a session is open a rename does not come about", async () => {
      const session = new Client({ connectionString: await steps.makeDatabase(named("occupied")) })
      await session.connect()
      try {
        const { data } = await rename("occupied", "vacant")
        const ends = await steps.follow(data.operations.slice(0, 1), (status) =>
          ["finished", "failed", "error", "cancelled"].includes(status),
        )
        expect(ends).not.toContain("finished")
        expect((await session.query("select current_database() as name")).rows).toEqual([
          { name: named("occupied") },
        ])
      } finally {
        await session.end()
      }
    })

    test("a deleted database ends its sessions and leaves the list; deleting it again is no fault", async () => {
      const session = new Client({ connectionString: await steps.makeDatabase(named("doomed")) })
      const died = new Promise((resolve) => session.on("error", resolve))
      await session.connect()
      const remove = () =>
        steps.ask(() =>
          place.client.deleteProjectBranchDatabase(place.projectId, place.branchId, named("doomed")),
        )
      const { status, data } = await remove()
      expect(status).toBe(200)
      await steps.settle(data.operations)
      await died
      expect(await names()).not.toContain(named("doomed"))
      expect([204, 404]).toContain((await remove()).status)
    })

    test("a database that SQL made is listed too", async () => {
      const uri = await steps.ownerUri(place.database)
      await sql(uri, `create database "${named("by-hand")}"`)
      expect(await names()).toContain(named("by-hand"))
    })

    test("a connection URI opens the database as it is, pooled or not", async () => {
      for (const pooled of [true, false]) {
        const { data } = await steps.ask(() =>
          place.client.getConnectionUri({
            projectId: place.projectId,
            branch_id: place.branchId,
            database_name: place.database,
            role_name: place.owner,
            pooled,
          }),
        )
        expect(await sql(data.uri, "select current_user as me")).toEqual([{ me: place.owner }])
      }
    })

    test("what is not there is answered 404, and a caller without the key 401", async () => {
      const { client, projectId, branchId, stranger } = place
      const answers = [
        await steps.ask(() => client.listProjectBranchDatabases(projectId, "br-of-nobody-1")),
        await steps.ask(() => client.getProjectBranch(projectId, "br-of-nobody-1")),
        await find("missing"),
        await steps.ask(() => client.getProjectBranchRole(projectId, branchId, named("missing"))),
        await steps.ask(() => client.getProjectOperation(projectId, "00000000-0000-4000-8000-000000000000")),
      ]
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 404))
      expect((await stranger.listProjectBranchDatabases(projectId, branchId)).status).toBe(401)
    })
  })
}
