/** What tenants' isolation relies on in Neon's roles; each promise holds at Neon and at its stand-in. */
import { randomBytes } from "node:crypto"
import { beforeAll, describe, expect, test } from "vitest"
import { sql } from "../local/neon-world.ts"
import { asRole, type NeonPlace, stepsIn } from "./neon-place.ts"

/** Registers the promises about roles. `open` is called once. */
export function describeRoles(open: () => Promise<NeonPlace>): void {
  describe("Neon's roles", () => {
    let place: NeonPlace
    let steps: ReturnType<typeof stepsIn>
    const named = (name: string) => `${place.prefix}-${name}`

    /** A database, a role of SQL's, and an address for it. */
    async function makeGuest(name: string) {
      const uri = await steps.makeDatabase(named(name))
      const password = randomBytes(18).toString("base64url")
      await sql(uri, `create role "${named(`${name}-guest`)}" login password '${password}'`)
      return { uri, guest: asRole(uri, named(`${name}-guest`), password) }
    }

    beforeAll(async () => {
      place = await open()
      steps = stepsIn(place)
    })

    test("the owner may make databases and roles, and is no superuser", async () => {
      const uri = await steps.ownerUri(place.database)
      const attributes =
        "select rolsuper, rolcreatedb, rolcreaterole from pg_roles where rolname = current_user"
      expect(await sql(uri, attributes)).toEqual([
        { rolsuper: false, rolcreatedb: true, rolcreaterole: true },
      ])
      expect(await steps.codeOf(uri, "alter system set work_mem = '8MB'")).toBe("42501")
    })

    test("a role of the API's reads and writes a database that is not its own, even when PUBLIC is shut out", async () => {
      const uri = await steps.makeDatabase(named("private"))
      await sql(uri, `revoke all on database "${named("private")}" from public`)
      await sql(uri, "create table hidden as select 1 as n")
      const reader = asRole(uri, named("reader"), await steps.makeRole(named("reader")))
      expect(await sql(reader, "update hidden set n = 2 returning n")).toEqual([{ n: 2 }])
    })

    test("a role of SQL's gets in by PUBLIC's CONNECT, and not after it is revoked", async () => {
      const { uri, guest } = await makeGuest("open-house")
      expect(await steps.codeOf(guest)).toBe("done")
      await sql(uri, `revoke all on database "${named("open-house")}" from public`)
      expect(await steps.codeOf(guest)).toBe("42501")
    })

    test("a role of SQL's that may not log in is turned away", async () => {
      const { uri, guest } = await makeGuest("closed")
      await sql(uri, `alter role "${named("closed-guest")}" nologin`)
      expect(await steps.codeOf(guest)).toBe("28000")
    })

    test("the owner ends the sessions of a role that it made", async () => {
      const { uri, guest } = await makeGuest("visited")
      const visit = steps.codeOf(guest, "select pg_sleep(60)")
      let found: object[] = []
      while (found.length === 0)
        found = await sql(
          uri,
          `select pg_terminate_backend(pid) as ended from pg_stat_activity
           where usename = '${named("visited-guest")}' and state = 'active'`,
        )
      expect(found).toEqual([{ ended: true }])
      expect(await visit).toBe("57P01")
    })

    test("the owner cannot grant a role of the API's to another role", async () => {
      const uri = await steps.ownerUri(place.database)
      await steps.makeRole(named("ungrantable"))
      await sql(uri, `create role "${named("would-be")}"`)
      const grant = (role: string) => steps.codeOf(uri, `grant "${role}" to "${named("would-be")}"`)
      expect(await grant(named("ungrantable"))).toBe("42501")
      expect(await grant("neon_superuser")).toBe("42501")
    })
  })
}
