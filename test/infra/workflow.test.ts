import { readFileSync } from "node:fs"
import path from "node:path"
import { expect, it } from "vitest"
import { parse } from "yaml"
import { ROOT } from "./stacks.ts"

type Step = { uses?: string; run?: string; if?: string }
type Job = { permissions: Record<string, string>; steps: Step[] }

const text = readFileSync(path.join(ROOT, ".github/workflows/deploy.yml"), "utf8")
const workflow = parse(text) as { permissions: Record<string, string>; jobs: Record<string, Job> }
const steps = Object.values(workflow.jobs).flatMap((job) => job.steps)

it("every action is pinned to a commit, with its version beside it", () => {
  const used = text.split("\n").filter((line) => line.includes("uses:"))
  expect(used.length).toBeGreaterThan(4)
  for (const line of used) expect(line).toMatch(/uses: [\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/)
})

it("no job may do more than read the code and show GitHub's token to Azure", () => {
  expect(workflow.permissions).toEqual({ contents: "read" })
  for (const { permissions } of Object.values(workflow.jobs))
    expect(permissions).toEqual({ contents: "read", "id-token": "write" })
  expect(text).not.toContain("secrets.")
})

it("nothing is pushed or deployed but from main, and nothing that was not scanned", () => {
  const changing = steps.filter(({ run }) => /docker push|pulumi up/.test(run ?? ""))
  expect(changing).toHaveLength(2)
  for (const step of changing) expect(step.if).toBe("github.ref == 'refs/heads/main'")
  const { images } = workflow.jobs
  const scans = images!.steps.flatMap(({ uses }, index) =>
    uses?.startsWith("anchore/scan-action") ? [index] : [],
  )
  const push = images!.steps.findIndex(({ run }) => run?.includes("docker push"))
  expect(scans).toHaveLength(2)
  for (const scan of scans) expect(scan).toBeLessThan(push)
})

it("what a pull request may write in a title or a branch's name is in no script", () => {
  for (const { run } of steps) expect(run ?? "").not.toContain("${{")
})
