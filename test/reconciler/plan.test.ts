import fc from "fast-check"
import { expect, test, vi } from "vitest"
import type { Action, Change, Stall } from "../../reconciler/action.ts"
import { diff } from "../../reconciler/plan.ts"
import { restrain } from "../../reconciler/policy.ts"
import { fromTags } from "../../reconciler/ledger.ts"
import { secretName } from "../../reconciler/tenant.ts"
import {
  beginning,
  databaseLost,
  decision,
  edit,
  type Episode,
  foreign,
  history,
  hosting,
  type Life,
  live,
  loss,
  tampering,
} from "./histories.ts"
import { converge, desiredOf, observeLists, observeMarkers, planPass, type Rules, RULES } from "./passes.ts"
import { PATIENCE, RUNS } from "./runs.ts"
import { allow, type SimulatedWorld } from "./simulation.ts"
import { blockedBy, faultsOf, faultsOfBlocked } from "./verdict.ts"

vi.setConfig(PATIENCE)

/** Lives through the episodes, then lets at most three undisturbed passes finish. */
function finish(episodes: readonly Episode[], rules: Rules = RULES): Life & { passes: number } {
  const { world, files } = live(beginning(episodes), episodes, rules)
  return { world, files, passes: converge(world, files, rules) }
}

const expectFinished = (episodes: readonly Episode[]) => {
  const { world, files, passes } = finish(episodes)
  expect(faultsOf(world, files)).toEqual([])
  expect(passes).toBeLessThanOrEqual(3)
}

/** The same where somebody may have to wait for a name: whoever was served before is served meanwhile. */
const expectFinishedOrWaiting = (episodes: readonly Episode[]): SimulatedWorld => {
  const { world, files, passes } = finish(episodes)
  const blocked = blockedBy(world, files)
  const others = { ...files, tenants: files.tenants.filter(({ id }) => !blocked.has(id)), held: blocked }
  expect(passes).toBeLessThanOrEqual(3)
  expect(faultsOf(world, others)).toEqual([])
  expect(faultsOfBlocked(world, blocked)).toEqual([])
  return world
}

test("wherever passes are cut short, three more finish: every tenant has its own data, nothing is left over", () => {
  fc.assert(fc.property(history(edit), expectFinished), RUNS)
})

test("the same when tenants are suspended, protected, approved and given new credentials", () => {
  fc.assert(
    fc.property(history(edit, edit, decision), (episodes) => void expectFinishedOrWaiting(episodes)),
    RUNS,
  )
})

test("the same when secrets, or the vault with all of them, are lost", () => {
  fc.assert(fc.property(history(edit, edit, loss), expectFinished), RUNS)
})

test("the same when entries are edited by hand", () => {
  fc.assert(fc.property(history(edit, edit, tampering), expectFinished), RUNS)
})

test("a host changes hands, and at no moment it leads to two tenants; each has what its file names in the end", () => {
  const any = history(edit, hosting, hosting, fc.oneof(decision, loss, tampering))
  fc.assert(
    fc.property(any, (episodes) => void expectFinishedOrWaiting(episodes)),
    RUNS,
  )
})

test("a stranger's database keeps its name and its data; who wants that name waits, and is served meanwhile", () => {
  fc.assert(
    fc.property(history(edit, edit, foreign), (episodes) => {
      const world = expectFinishedOrWaiting(episodes)
      for (const { owner, schema } of world.databases.values())
        expect(owner === "foreign").toBe(schema === "theirs")
    }),
    RUNS,
  )
})

const isLost = ({ reason }: Stall) => ["DatabaseMissing", "MarkerMismatch"].includes(reason)

test("a database that is gone is not made again before a person says so, and then it is", () => {
  fc.assert(
    fc.property(history(edit, edit, databaseLost), (episodes) => {
      const { world, files } = finish(episodes)
      const { stalls } = planPass(world, files)
      // Whoever wants the name of what is lost waits, so that it can be brought back.
      for (const { reason } of stalls.filter((stall) => !isLost(stall))) expect(reason).toBe("NameTaken")
      for (const { tenant, approve } of stalls.filter(isLost)) {
        expect(world.databases.values().some(({ owner }) => owner === tenant)).toBe(false)
        allow(world, fromTags(secretName(tenant), world.secrets.get(secretName(tenant))?.tags)!, approve!)
      }
      expect(converge(world, files)).toBeLessThanOrEqual(3)
      expect(faultsOf(world, files)).toEqual([])
    }),
    RUNS,
  )
})

test("the order of what is listed and declared does not change the plan", () => {
  const any = history(edit, edit, hosting, decision, loss, tampering, foreign)
  fc.assert(
    fc.property(any, fc.infiniteStream(fc.double({ min: 0, max: 1 })), (episodes, chance) => {
      const shuffled = <T>(list: readonly T[]) =>
        list
          .map((item) => ({ item, rank: chance.next().value as number }))
          .sort((a, b) => a.rank - b.rank)
          .map(({ item }) => item)
      const { world, files } = live(beginning(episodes), episodes)
      const desired = desiredOf(world, files)
      for (const { databases, secrets } of [observeLists(world), observeMarkers(world)]) {
        const other = { databases: shuffled(databases), secrets: shuffled(secrets) }
        const again = { ...desired, tenants: shuffled(desired.tenants) }
        expect(diff(again, other, world.now)).toEqual(diff(desired, { databases, secrets }, world.now))
      }
    }),
    RUNS,
  )
})

test("a ledger that is lost altogether comes back from the markers, and every database with it", () => {
  fc.assert(
    fc.property(history(edit), fc.boolean(), (episodes, soft) => {
      const { world, files } = finish(episodes)
      const before = new Map([...world.databases].map(([name, { data }]) => [name, data]))
      if (soft) for (const [name, secret] of world.secrets) world.deletedSecrets.set(name, secret)
      world.secrets.clear()
      world.now += 1000
      converge(world, files)
      expect(new Map([...world.databases].map(([name, { data }]) => [name, data]))).toEqual(before)
      expect(faultsOf(world, files)).toEqual([])
      for (const { tags } of world.secrets.values()) {
        if (tags["state"] === "retired") expect(Date.parse(tags["retired-at"]!)).toBe(world.now)
      }
    }),
    RUNS,
  )
})

/** The properties can fail: rules that are broken on purpose are found out. */
const isFoundOut = (rules: Rules, events = history(edit)) =>
  fc.check(
    fc.property(events, (episodes) => {
      const { world, files } = finish(episodes, rules)
      return faultsOf(world, files).length === 0
    }),
    RUNS,
  ).failed

const withChanges = (change: (one: Change) => Change): Rules => ({
  restrain,
  diff: (...input) => {
    const all = diff(...input)
    return { ...all, changes: all.changes.map(change) }
  },
})

test("control: without a way out of cycles, names wait for each other for ever", () => {
  const rules = withChanges((change) => {
    const renames = change.actions.filter((action) => action.kind === "rename")
    const [first, last] = [renames[0]!, renames.at(-1)!]
    const actions = change.actions.flatMap((action): Action[] => {
      if (action === first) return [{ ...first, to: last.to }]
      return action === last ? [] : [action]
    })
    return { ...change, actions }
  })
  expect(isFoundOut(rules)).toBe(true)
})

test("control: a ledger that says done before the logins are open leaves a tenant outside", () => {
  const rules = withChanges((change) => {
    const done = change.actions.findLast((action) => action.kind === "publish")
    if (change.kind !== "rename" || !done) return change
    const actions = change.actions.flatMap((action): Action[] =>
      action.kind === "rename" ? [action, { kind: "record", entry: done.entry }] : [action],
    )
    return { ...change, actions }
  })
  expect(isFoundOut(rules)).toBe(true)
})

test("control: by names alone, without markers, tenants get each other's data", () => {
  const blind: Rules = {
    restrain,
    diff: (desired, { databases, secrets }, now) =>
      diff(desired, { secrets, databases: databases.map((place) => ({ ...place, marker: undefined })) }, now),
  }
  expect(isFoundOut(blind)).toBe(true)
})

test("control: a host that is given before it is given up leads to two tenants", () => {
  const hasty: Rules = {
    restrain,
    diff: (...input) => {
      const all = diff(...input)
      const busy = new Set(all.changes.map(({ tenant }) => tenant))
      const taken = new Set(
        all.contests.map(({ change }) => change).filter(({ tenant }) => !busy.has(tenant)),
      )
      return { ...all, contests: [], changes: [...all.changes, ...taken] }
    },
  }
  expect(isFoundOut(hasty, history(edit, hosting))).toBe(true)
})

test("control: a ledger that forgets a tenant's database gets it made anew", () => {
  const forgetful: Rules = {
    restrain,
    diff: (desired, { databases, secrets }, now) => {
      const known = secrets.filter(({ name }) => name !== secretName(desired.tenants[0]!.id))
      return diff(desired, { databases, secrets: known }, now)
    },
  }
  expect(isFoundOut(forgetful)).toBe(true)
})
