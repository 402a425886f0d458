import path from "node:path"
import { expect, test } from "vitest"
import { TerminalError } from "../../reconciler/errors.ts"
import { type Fleet, readFleet, rolloutPolicy, stepLimits } from "../../reconciler/fleet.ts"
import { folderOf } from "./folder.ts"

const GOOD = {
  fleet: "sample",
  deletion: "retire",
  gracePeriodDays: 30,
  maxRemovals: 5,
  maxRemovalShare: 0.5,
}

async function read(values: Record<string, unknown>) {
  const lines = Object.entries(values).map(([key, value]) => `${key}: ${JSON.stringify(value)}\n`)
  const folder = await folderOf({ "fleet.yaml": lines.join("") })
  return readFleet(path.join(folder, "fleet.yaml")).catch((error: Error) => {
    expect(error).toBeInstanceOf(TerminalError)
    return error.message.replaceAll(`${folder}/`, "").split("\n")
  })
}

test("the repository's own fleet.yaml is valid", async () => {
  expect(await readFleet("fleet.yaml")).toMatchObject({ deletion: "retire" })
})

test("a fleet is what its file says", async () => {
  expect(await read(GOOD)).toEqual(GOOD)
})

test("limits and rollout have defaults, each by itself", async () => {
  const fleet = (await read({
    ...GOOD,
    migrations: { lockTimeoutSeconds: 0.5 },
    rollout: { canary: ["Ada"], waveSize: 7 },
  })) as Fleet
  expect(stepLimits(fleet)).toEqual({ lockTimeout: 500, statementTimeout: 60_000 })
  expect(stepLimits(GOOD as Fleet)).toEqual({ lockTimeout: 2000, statementTimeout: 60_000 })
  expect(rolloutPolicy(fleet)).toEqual({ canary: ["Ada"], waveSize: 7, stopAfterFailures: 3 })
  expect(rolloutPolicy(GOOD as Fleet)).toEqual({ canary: 1, waveSize: 25, stopAfterFailures: 3 })
})

test.for<[string, unknown, RegExp]>([
  [
    "migrations",
    { lockTimeoutSeconds: 0 },
    /migrations\.lockTimeoutSeconds: must be from 0\.1 to 86400 seconds/,
  ],
  ["migrations", { statementTimeoutSeconds: "1m" }, /statementTimeoutSeconds: must be a number of seconds/],
  ["migrations", 5, /migrations: must hold lockTimeoutSeconds/],
  ["rollout", { waveSize: 0 }, /rollout\.waveSize: must be a whole number from 1/],
  ["rollout", { stopAfterFailures: 0.5 }, /rollout\.stopAfterFailures: must be a whole number from 1/],
  ["rollout", { canary: "Ada" }, /rollout\.canary: must be a count, or a list of tenants' names/],
  ["rollout", { canary: [] }, /rollout\.canary/],
  [
    "rollout",
    { wave: 3 },
    /:6: rollout\.wave: is not known here; the keys are canary, waveSize, stopAfterFailures$/,
  ],
])("%s: %j is refused too", async ([key, value, message]) => {
  expect(await read({ ...GOOD, [key]: value })).toEqual([expect.stringMatching(message)])
})

test.for(Object.keys(GOOD))(
  "without %s there is no fleet: nothing about removal has a default",
  async (key) => {
    const rest = Object.fromEntries(Object.entries(GOOD).filter(([name]) => name !== key))
    expect(await read(rest)).toEqual([expect.stringMatching(`^fleet\\.yaml:1: ${key}: `)])
  },
)

test.for<[string, unknown, RegExp]>([
  ["fleet", "My Fleet", /^fleet\.yaml:1: fleet: must be lower-case letters, digits and hyphens, at most 63$/],
  ["deletion", "purge", /^fleet\.yaml:2: deletion: must be "retire" or "forbid"$/],
  ["gracePeriodDays", -1, /^fleet\.yaml:3: gracePeriodDays: must be a /],
  ["maxRemovals", -1, /^fleet\.yaml:4: maxRemovals: must be a /],
  ["maxRemovalShare", 50, /^fleet\.yaml:5: maxRemovalShare: must be a number from 0 to 1$/],
])("%s: %j is refused, and said why", async ([key, value, message]) => {
  expect(await read({ ...GOOD, [key]: value })).toEqual([expect.stringMatching(message)])
})

test.for<[string, unknown, string]>([
  ["gracePeriodDays", "a month", "fleet.yaml:3: gracePeriodDays: must be a number of days, from 0 to 3650"],
  ["maxRemovals", 1.5, "fleet.yaml:4: maxRemovals: must be a whole number from 0"],
  ["maxRemovalShare", "half", "fleet.yaml:5: maxRemovalShare: must be a number from 0 to 1"],
])("%s: %j is not called missing", async ([key, value, message]) => {
  expect(await read({ ...GOOD, [key]: value })).toEqual([message])
})

test("each fault has its line, and a key that is not known is one", async () => {
  expect(await read({ ...GOOD, deletion: "never", cap: 3 })).toEqual([
    'fleet.yaml:2: deletion: must be "retire" or "forbid"',
    "fleet.yaml:6: cap: is not known here; the keys are fleet, deletion, gracePeriodDays, maxRemovals, maxRemovalShare, migrations, rollout",
  ])
})

test("a fleet.yaml that is away ends the pass", async () => {
  const folder = await folderOf({})
  await expect(readFleet(path.join(folder, "fleet.yaml"))).rejects.toThrow(/cannot be read \(ENOENT\)/)
})
