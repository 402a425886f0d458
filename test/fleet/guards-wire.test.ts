/** Negative controls of the guards against lost answers, rivals and careless words; see guards.test.ts. */
import { inspect } from "node:util"
import pino from "pino"
import { describe, expect, test } from "vitest"
import { createLogger } from "../../reconciler/log.ts"
import { openCredentialReader } from "../../reconciler/providers/vault.ts"
import { review } from "../../reconciler/reconcile.ts"
import { TenantId } from "../../reconciler/tenant.ts"
import { eventually } from "../eventually.ts"
import { type Expected, faults } from "./faults.ts"
import { ADA, BOB, BOTH, connectFor, guarded, opens, rawNeon, uriOf, useTwoTenants } from "./guard-world.ts"
import { openPasses } from "./passes.ts"
import { applyUnguarded, planUnguarded } from "./unguarded.ts"

useTwoTenants()

/** How often a database was asked for. */
const sends = () =>
  guarded.world.neon.calls().filter(({ route }) => route === "createProjectBranchDatabase").length
/** The next write of Ada's secret takes effect when all faults are cleared. */
const hold = () =>
  guarded.world.vault.faults.add({
    kind: "held",
    match: { route: "SecretSet", name: `tenant-${ADA.id}` },
  })
const letGo = () => guarded.world.vault.faults.clear()
const held = () =>
  eventually("the write is on its way", () => expect(guarded.world.vault.faults.list()).toEqual([]))
/** The next secret that is read comes in half. */
const cut = () => guarded.world.vault.faults.add({ kind: "truncated-json", match: { route: "SecretGet" } })

describe("proof", () => {
  test("a list that lacks a secret replaces no credential", async () => {
    const carol: Expected = { id: crypto.randomUUID(), name: "Carol", state: "active" }
    await guarded.world.declare({ id: carol.id, name: carol.name })
    guarded.world.vault.faults.add({ kind: "stale-list", times: "always", match: { route: "SecretList" } })
    await guarded.passes.pass()
    const uri = await uriOf(carol)
    // One that has just started has no writes of its own to remember.
    expect((await openPasses(guarded.world).pass()).told).toMatch(/ListIncomplete: the vault's list lacks/)
    expect(await opens(uri), "with the guard").toBe(true)
    guarded.world.vault.faults.clear()

    const marker = { fleet: guarded.world.fleet, tenant: TenantId.parse(carol.id) }
    const { reviewed, changes } = await planUnguarded(guarded.passes, ({ databases, secrets }) => ({
      databases: databases.map(({ cell, name }) => ({
        cell,
        name,
        marker: name === "products-Carol" ? marker : undefined,
      })),
      secrets: secrets.filter(({ name }) => name !== `tenant-${carol.id}`),
    }))
    await applyUnguarded(reviewed, guarded.passes.systems, changes)
    expect(await opens(uri), "without the guard").toBe(false)
  })

  test("a list from before our own last write repeats no change", async () => {
    await guarded.world.declare({ id: ADA.id, name: "Augusta" })
    guarded.world.vault.faults.add({ kind: "stale-list", times: "always", match: { route: "SecretList" } })
    await guarded.passes.pass()
    const uri = await uriOf(ADA)
    expect((await guarded.passes.pass()).told).toMatch(/ListIncomplete: .* as it was before/)
    expect(await opens(uri), "with the guard").toBe(true)

    await openPasses(guarded.world).pass()
    expect(await opens(uri), "without the guard").toBe(false)
  })

  test("a mutation whose answer was lost is looked for, and not sent again", async () => {
    const name = "products-Sent"
    guarded.world.neon.resetCalls()
    guarded.world.neon.faults.add({ kind: "drop-after", route: "createProjectBranchDatabase" })
    await guarded.passes.systems.cells[0]!.create(name)
    expect(sends(), "with the guard").toBe(1)
    await guarded.passes.systems.cells[0]!.drop(name)

    guarded.world.neon.resetCalls()
    guarded.world.neon.faults.add({ kind: "drop-after", route: "createProjectBranchDatabase" })
    // It takes its own database for somebody else's, and its tenant for one that cannot be served.
    const { projectId, branchId, owner } = guarded.world.neon
    const send = () =>
      rawNeon().createProjectBranchDatabase(projectId, branchId, { database: { name, owner_name: owner } })
    await expect(send()).rejects.toThrow(/hang up|ECONNRESET/)
    const answers = await eventually("Neon has said no", async () => {
      const answer = await send().catch((error: { response?: { status: number } }) => error.response?.status)
      expect(answer).not.toBe(423)
      return answer
    })
    expect(answers, "without the guard").toBe(409)
    expect(sends()).toBeGreaterThan(1)
    await eventually("Neon is free again", () => guarded.passes.systems.cells[0]!.drop(name))
  })
})

describe("one after the other", () => {
  test("of two reconcilers one waits, and the credential that is published works", async () => {
    const suspended = { id: ADA.id, name: ADA.name, suspended: true }
    await guarded.world.declare(suspended)
    await guarded.world.prepare()
    await guarded.world.declare({ id: ADA.id, name: ADA.name })
    hold()
    const first = guarded.passes.pass()
    await held()
    expect((await openPasses(guarded.world).pass()).told).toMatch(/LeaseHeld/)
    letGo()
    await first
    expect(await faults(guarded.world, BOTH), "with the guard").toEqual([])

    await guarded.world.declare(suspended)
    await guarded.world.prepare()
    await guarded.world.declare({ id: ADA.id, name: ADA.name })
    const reviewed = await review(guarded.passes.config.sources, guarded.passes.systems)
    hold()
    const slow = applyUnguarded(reviewed, guarded.passes.systems, reviewed.plan.changes)
    await held()
    await applyUnguarded(reviewed, guarded.passes.systems, reviewed.plan.changes)
    letGo()
    await slow
    expect((await faults(guarded.world, BOTH)).join("\n"), "without the guard").toContain(
      "its credential does not work",
    )
  })

  test("a database is closed before it is renamed, because a session that stays would stop it", async () => {
    const uri = await uriOf(ADA)
    const session = await connectFor(uri)
    await guarded.world.declare({ id: ADA.id, name: "Augusta" })
    const reviewed = await review(guarded.passes.config.sources, guarded.passes.systems)
    const open = reviewed.plan.changes.map((change) => ({
      ...change,
      actions: change.actions.filter(({ kind }) => kind !== "close"),
    }))
    const [outcome] = await applyUnguarded(reviewed, guarded.passes.systems, open)
    expect(outcome!.error?.message, "without the guard").toMatch(/being accessed by other users/)
    expect(session.isOpen()).toBe(true)

    await guarded.passes.pass()
    await guarded.passes.pass()
    expect(await faults(guarded.world, [{ ...ADA, name: "Augusta" }, BOB]), "with the guard").toEqual([])
    expect(session.isOpen()).toBe(false)
  })
})

describe("silence", () => {
  test("Neon's client shows the key in its errors, and ours do not", async () => {
    guarded.world.neon.faults.add({ kind: "key-revoked", times: 2 })
    const { NEON_API_KEY: key } = guarded.world.environment()
    const theirs: unknown = await rawNeon()
      .listProjectBranchDatabases(guarded.world.neon.projectId, guarded.world.neon.branchId)
      .catch((error: unknown) => error)
    expect(inspect(theirs, { depth: 12 }), "without the guard").toContain(key)
    const ours: unknown = await guarded.passes.systems.cells[0]!.list().catch((error: unknown) => error)
    expect(inspect(ours, { depth: 12 }), "with the guard").not.toContain(key)
    expect(String(ours)).toContain("401")
  })

  test("the vault's client shows the secret in its errors, and ours do not", async () => {
    const { password } = new URL(await uriOf(ADA))
    const read = openCredentialReader(guarded.world.vault.url)
    cut()
    const theirs: unknown = await uriOf(ADA).catch((error: unknown) => error)
    expect(inspect(theirs, { depth: 12 }), "without the guard").toContain(password)
    cut()
    const ours: unknown = await read(TenantId.parse(ADA.id)).catch((error: unknown) => error)
    expect(inspect(ours, { depth: 12 }), "with the guard").not.toContain(password)
    expect(String(ours)).toContain("did not answer")
  })

  test("a log line is cleaned of what Postgres or a person put into it", async () => {
    const uri = await uriOf(ADA)
    const { password } = new URL(uri)
    const lines: string[] = []
    pino({}, { write: (line: string) => lines.push(line) }).error({ uri }, "could not connect")
    expect(lines.join(""), "without the guard").toContain(password)
    createLogger("guard", (line) => lines.push(line)).error({ uri }, "could not connect")
    expect(lines.at(-1), "with the guard").toContain("could not connect")
    expect(lines.at(-1), "with the guard").not.toContain(password)
  })
})
