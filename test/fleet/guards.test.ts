/** Negative controls: each guard left out does harm to a real world, and with it the same course does none. */
import { describe, expect, test } from "vitest"
import { renewCredential, withDatabase } from "../../reconciler/providers/postgres.ts"
import { review } from "../../reconciler/reconcile.ts"
import { formatMarker, TenantId } from "../../reconciler/tenant.ts"
import { eventually } from "../eventually.ts"
import { type Expected, faults } from "./faults.ts"
import { ADA, BOB, BOTH, guarded, occupy, opens, rawNeon, uriOf, useTwoTenants } from "./guard-world.ts"
import { query } from "./systems.ts"
import { applyUnguarded, planUnguarded, unrestrained, withoutMarkers } from "./unguarded.ts"

useTwoTenants()

describe("the policy", () => {
  test.each<[string, () => Promise<unknown>, RegExp]>([
    [
      "an empty folder",
      async () => Promise.all(BOTH.map(({ id }) => guarded.world.remove(id))),
      /NothingDesired/,
    ],
    [
      "a file that cannot be read",
      async () =>
        Promise.all([
          guarded.world.remove(ADA.id),
          guarded.world.declare({ id: BOB.id, name: "not a name" }),
        ]),
      /UnreadableFiles/,
    ],
    [
      "too many removals",
      async () => Promise.all([guarded.world.remove(ADA.id), guarded.world.configure({ maxRemovals: 0 })]),
      /TooManyRemovals/,
    ],
    [
      "a protected tenant",
      async () => {
        await guarded.world.declare({ id: ADA.id, name: ADA.name, protected: true })
        await guarded.world.prepare()
        await guarded.world.remove(ADA.id)
      },
      /Protected/,
    ],
    [
      "a fleet that forbids it",
      async () =>
        Promise.all([guarded.world.remove(ADA.id), guarded.world.configure({ deletion: "forbid" })]),
      /DeletionForbidden/,
    ],
  ])("keeps a tenant from being taken off by %s", async (_, slip, reason) => {
    const uri = await uriOf(ADA)
    await slip()
    expect((await guarded.passes.pass()).told).toMatch(reason)
    expect(await opens(uri), "with the guard").toBe(true)

    const reviewed = await review(guarded.passes.config.sources, guarded.passes.systems)
    await applyUnguarded(reviewed, guarded.passes.systems, unrestrained(reviewed))
    expect(await opens(uri), "without the guard").toBe(false)
  })
})

describe("ownership", () => {
  test("the markers, and not the tags, say whose a database is", async () => {
    const edited = (await review(guarded.passes.config.sources, guarded.passes.systems)).observed.secrets
    const entryOf = ({ id }: Expected) => edited.find(({ entry }) => entry?.id === id)!.entry!
    const swap = async () => {
      await guarded.passes.systems.vault.record({ ...entryOf(ADA), database: "products-Bob" })
      await guarded.passes.systems.vault.record({ ...entryOf(BOB), database: "products-Ada" })
    }
    await swap()
    await guarded.passes.pass()
    await guarded.passes.pass()
    expect(await faults(guarded.world, BOTH), "with the guard").toEqual([])

    await swap()
    const { reviewed, changes } = await planUnguarded(guarded.passes, withoutMarkers)
    await applyUnguarded(reviewed, guarded.passes.systems, changes)
    const harm = (await faults(guarded.world, BOTH)).join("\n")
    expect(harm, "without the guard").toContain(`Ada (active): marker of products-Ada is`)
    expect(harm, "without the guard").toContain("Ada (active): its credential does not work")
  })

  test("a name that somebody else's database has is not made free", async () => {
    const kept = await occupy("products-Taken")
    await expect(guarded.passes.systems.cells[0]!.create("products-Taken")).rejects.toThrow(/and not by us/)
    expect(await kept(), "with the guard").toEqual(["theirs"])

    const { projectId, branchId, owner } = guarded.world.neon
    const database = { name: "products-Taken", owner_name: owner }
    await eventually("a client that insists has made it", async () => {
      const { status } = await rawNeon()
        .createProjectBranchDatabase(projectId, branchId, { database })
        .catch(async (error: { response: { status: number } }) => {
          if (error.response.status === 409)
            await rawNeon().deleteProjectBranchDatabase(projectId, branchId, database.name)
          throw new Error(`answer ${error.response.status}`)
        })
      expect(status).toBe(201)
    })
    expect(await kept(), "without the guard").toEqual([])
    await guarded.passes.systems.cells[0]!.drop("products-Taken")
  })

  test("what somebody else has filled is not made a tenant's", async () => {
    const kept = await occupy("products-Found")
    await guarded.world.declare({ id: ADA.id, name: "Found" })
    expect((await guarded.passes.pass()).told).toMatch(/NameTaken/)
    const { fleet } = guarded.world
    const marker = formatMarker({ fleet, tenant: TenantId.parse(ADA.id) })

    // A reconciler that only marks and grants would serve Ada from it.
    const stolen = withDatabase(await uriOf(ADA), "products-Found")
    const read = () => query<{ text: string }>(stolen, "select text from kept")
    await guarded.world.sql("postgres", `revoke all on database "products-Found" from public`)
    await expect(read(), "with the guard").rejects.toThrow(/permission denied/)
    await guarded.world.sql("postgres", `comment on database "products-Found" is '${marker}'`)
    await guarded.world.sql("postgres", `grant connect on database "products-Found" to "tenant_${ADA.id}"`)
    await guarded.world.sql("products-Found", `grant select on kept to "tenant_${ADA.id}"`)
    expect(await read(), "without the guard").toEqual([{ text: "theirs" }])
    expect(await kept()).toEqual(["theirs"])
  })

  test("another fleet's roles for a tenant of the same id are not taken over", async () => {
    const id = TenantId.parse(crypto.randomUUID())
    const [group, login] = [`"tenant_${id}"`, `"tenant_${id}_a"`]
    const theirs = formatMarker({ fleet: "other", tenant: id })
    // The same owner works for both fleets.
    const owner = await guarded.passes.systems.cells[0]!.ownerUri("products-Ada", false)
    await query(
      owner,
      `create role ${group} nologin; create role ${login} login password 'theirs' in role ${group};
       comment on role ${group} is '${theirs}'; comment on role ${login} is '${theirs}'`,
    )
    const uri = new URL(withDatabase(await uriOf(ADA), "postgres"))
    Object.assign(uri, { username: login.replaceAll('"', ""), password: "theirs" })
    const isLetIn = () =>
      query(uri.href, "select").then(
        () => true,
        () => false,
      )
    await guarded.world.declare({ id, name: "Twin" })
    expect((await guarded.passes.pass()).told).toMatch(/RoleTaken/)
    expect(await isLetIn(), "with the guard").toBe(true)

    await renewCredential(owner, id, { slot: "a", exclusive: false })
    expect(await isLetIn(), "without the guard").toBe(false)
    await guarded.world.sql("postgres", `drop role ${login}; drop role ${group}`)
  })

  test("another fleet's secret is not overwritten", async () => {
    const id = TenantId.parse(crypto.randomUUID())
    await guarded.world.secrets.setSecret(`tenant-${id}`, "theirs", {
      tags: { "managed-by": "tenantry", fleet: "other" },
    })
    const value = async () => (await guarded.world.secrets.getSecret(`tenant-${id}`)).value
    await guarded.world.declare({ id, name: "Cuckoo" })
    expect((await guarded.passes.pass()).told).toMatch(/SecretTaken/)
    expect(await value(), "with the guard").toBe("theirs")

    const { reviewed, changes } = await planUnguarded(guarded.passes, (observed) => ({
      ...observed,
      secrets: observed.secrets.filter(({ owner }) => owner === guarded.world.fleet),
    }))
    await applyUnguarded(reviewed, guarded.passes.systems, changes)
    expect(await value(), "without the guard").not.toBe("theirs")
  })

  test("the last look before a drop finds that it is somebody else's now", async () => {
    await guarded.world.remove(BOB.id)
    await guarded.world.prepare()
    const shelf = `retired-${BOB.id}`
    const reviewed = await review(guarded.passes.config.sources, guarded.passes.systems)
    await guarded.world.sql("postgres", `drop database "${shelf}"`)
    const kept = await occupy(shelf)

    const tenant = TenantId.parse(BOB.id)
    const purge = {
      kind: "purge",
      tenant,
      name: "Bob",
      cell: guarded.world.neon.projectId,
      actions: [{ kind: "drop", database: shelf }],
    } as const
    const [outcome] = await applyUnguarded(reviewed, guarded.passes.systems, [purge])
    expect(outcome!.error).toMatchObject({ reason: "MarkerMissing" })
    expect(await kept(), "with the guard").toEqual(["theirs"])

    await guarded.passes.systems.cells[0]!.drop(shelf)
    expect(await kept(), "without the guard").toEqual([])
  })
})
