/**
 * kill -9 of a real reconciler immediately before and immediately after each single write of each kind of change: at
 * most two passes later the world is as declared, with no orphan and no loss.
 *
 * All kinds and all writes take some twenty minutes and run with TENANTRY_FULL=1; else a sample runs in which every kind
 * of action is cut once.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { When } from "./gate.ts"
import { KINDS } from "./kinds.ts"
import { tryChange } from "./kill.ts"
import { type FleetWorld, startFleet } from "./world.ts"

const isFull = process.env["TENANTRY_FULL"] === "1"
const WHENS: readonly When[] = ["before", "after"]

/** One cell for each kind of action; which write it is, as the gate names it. */
const SAMPLE: readonly { action: string; kind: string; is: RegExp; when: When }[] = [
  { action: "reserve", kind: "create", is: /^vault PUT/, when: "after" },
  { action: "create", kind: "create", is: /^neon POST/, when: "after" },
  { action: "secure", kind: "approved recreation of a missing database", is: /comment on/, when: "before" },
  { action: "migrate", kind: "migrate", is: /insert into tenantry.migrations/, when: "after" },
  { action: "seed", kind: "create with a seed", is: /^sql insert into tenantry.seeds/, when: "after" },
  { action: "credential", kind: "vault lost altogether", is: /login password/, when: "after" },
  { action: "publish", kind: "rotate", is: /^vault PUT/, when: "before" },
  { action: "record", kind: "suspend", is: /^vault PATCH/, when: "after" },
  { action: "close", kind: "rename", is: /nologin/, when: "after" },
  { action: "close-login", kind: "rotate", is: /pg_terminate_backend/, when: "before" },
  { action: "rename", kind: "swap of two names", is: /^neon PATCH/, when: "after" },
  { action: "drop", kind: "purge", is: /^neon DELETE/, when: "after" },
  { action: "drop-roles", kind: "purge", is: /drop owned/, when: "after" },
  { action: "forget", kind: "purge", is: /^vault DELETE/, when: "before" },
]

type Row = { kind: string; writes: number; before: number; after: number }
const rows: Row[] = []

let world: FleetWorld
beforeAll(async () => {
  world = await startFleet({ steps: 2 })
})
afterAll(async () => {
  await world.stop()
  if (rows.length > 0) process.stdout.write(table(rows))
})

function table(matrix: readonly Row[]): string {
  const width = Math.max(...matrix.map(({ kind }) => kind.length))
  const line = (kind: string, ...cells: unknown[]) =>
    [kind.padEnd(width), ...cells.map((cell) => String(cell).padStart(8))].join("  ")
  const sum = (of: (row: Row) => number) => matrix.reduce((total, row) => total + of(row), 0)
  const [before, after] = [sum((row) => row.before), sum((row) => row.after)]
  return [
    line("kill -9 at each write", "writes", "before", "after"),
    ...matrix.map((row) => line(row.kind, row.writes, row.before, row.after)),
    `${before + after} kills: ${before} before a write, ${after} after one; the world was as declared after each`,
    "",
  ].join("\n")
}

describe.runIf(isFull)("wherever a reconciler is killed, the next two passes finish the work", () => {
  it.each(KINDS)("%s", { timeout: 1_800_000 }, async (kind) => {
    const whole = await tryChange(world, kind)
    expect(whole).toMatchObject({ wasKilled: false, faults: [] })
    const row = { kind, writes: whole.writes.length, before: 0, after: 0 }
    for (let at = 1; at <= row.writes; at++) {
      for (const when of WHENS) {
        const { wasKilled, faults, writes } = await tryChange(world, kind, { at, when })
        expect.soft(faults, `killed ${when} write ${at}, after ${writes.at(-1)?.what}`).toEqual([])
        expect.soft(wasKilled, `write ${at} was sent`).toBe(true)
        if (wasKilled && faults.length === 0) row[when]++
      }
    }
    rows.push(row)
  })
})

describe.runIf(!isFull)("a reconciler that is killed at one write leaves what two passes finish", () => {
  it.each(SAMPLE)("$when the write of $action ($kind)", async ({ kind, is, when }) => {
    const { wasKilled, faults } = await tryChange(world, kind, { is, when })
    expect(wasKilled).toBe(true)
    expect(faults).toEqual([])
  })
})

it("a kill without a further pass is seen to leave the change unfinished", async () => {
  const { wasKilled, faults } = await tryChange(world, "rename", { is: /^neon PATCH/, when: "after" }, 0)
  expect(wasKilled).toBe(true)
  expect(faults.join("\n")).toContain("credential does not work")
})
