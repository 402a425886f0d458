import { expect, it } from "vitest"
import { soakChanges } from "./soak-changes.ts"

it("a rename, a rotation and a restart of Postgres fail no request and lose no row", async () => {
  const { phases, ...rest } = await soakChanges({ renames: 1, rotations: 1, restarts: 1 })
  expect(rest).toEqual({ failed: 0, failures: [], lost: 0, repeated: 0 })
  for (const what of ["rename", "rotation", "restart"]) {
    expect(phases.find((phase) => phase.what === what)!.requests, what).toBeGreaterThan(0)
  }
})

it("a rename is seen to fail requests of an API that does not try again", async () => {
  const { failed, failures } = await soakChanges({
    renames: 1,
    rotations: 0,
    restarts: 0,
    variables: { RETRY_MS: "0" },
  })
  expect(failed, failures.join("\n")).toBeGreaterThan(0)
})
